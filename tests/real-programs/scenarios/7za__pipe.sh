# Binary data through standard input and output, and a checksum that Python agrees with.
. "${0%/*}/lib.sh"
cat "$ROOT"/sample-binaries/bin/x64-mingw/*.exe > in.bin
ok p a -bd -si -so -txz dummy.xz < in.bin > out.xz
python3 -c "import lzma; assert lzma.open('out.xz').read() == open('in.bin', 'rb').read()" || fail "Python reads something else"
ok p h -scrcCRC32 in.bin > log
has log "$(python3 -c "import zlib; print('%08X' % zlib.crc32(open('in.bin', 'rb').read()))")"
