# Levels, streams and the checksum test.
. "${0%/*}/lib.sh"
cat "$ROOT"/bench/*.c "$ROOT"/sample-binaries/src/*.c "$ROOT"/sample-binaries/bin/x86-mingw/*.exe > in.bin
ok p -q -19 -k in.bin -o a.zst
ok p -q -t a.zst
ok p -q -d a.zst -o back
same in.bin back
ok p -q -3 -c < in.bin > s.zst
ok p -q -d -c < s.zst > back2
same in.bin back2
[ "$(wc -c < a.zst)" -lt "$(wc -c < s.zst)" ] || fail "level 19 is no smaller than level 3"
head -c 2000 a.zst > cut.zst
p -q -t cut.zst 2> e && fail "a truncated file passed"
:
