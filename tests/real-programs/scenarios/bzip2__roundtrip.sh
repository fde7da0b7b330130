# Files and pipes, and what Python's own bz2 makes of them.
. "${0%/*}/lib.sh"
cat "$ROOT"/bench/*.c "$ROOT"/sample-binaries/bin/*/*.exe > in.bin
printf '\r\n\032\n\r' >> in.bin
cp in.bin keep
ok p -9 -k in.bin
python3 -c "import bz2; assert bz2.open('in.bin.bz2').read() == open('keep', 'rb').read()" || fail "Python reads something else"
rm in.bin
ok p -d in.bin.bz2
same in.bin keep
ok p -c < keep > o.bz2
ok p -dc < o.bz2 > back
same back keep
head -c 1000 o.bz2 > cut.bz2
p -t cut.bz2 2> e && fail "a truncated file passed"
:
