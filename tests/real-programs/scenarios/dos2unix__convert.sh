# Line ends in place and into a new file; a binary file is left alone.
. "${0%/*}/lib.sh"
cp "$ROOT/bench/file.c" ref
sed 's/$/\r/' ref > dos
ok p -q dos
same dos ref
sed 's/$/\r/' ref > dos
ok p -q -n dos new
same new ref
printf 'a\r\n\000b\r\n' > bin; cp bin keep
p -q bin
same bin keep
