# Stamps versions, a string and an icon onto programs of both widths, which still run; an independent reader agrees.
. "${0%/*}/lib.sh"
python3 - <<'P'
import struct
image = b'\x89PNG' + bytes(600)
open('a.ico', 'wb').write(struct.pack('<HHH', 0, 1, 1) + struct.pack('<BBBBHHII', 16, 16, 0, 0, 1, 32, len(image), 22) + image)
P
for width in x64 x86; do
  cp "$ROOT/sample-binaries/bin/$width-mingw/hello.exe" $width.exe
  chmod u+w $width.exe
  $RUN $width.exe > want
  ok p $width.exe --set-file-version 1.2.3.4 --set-product-version 5.6 --set-icon a.ico \
    --set-version-string ProductName 'Grüße 日本'
  python3 -c "assert 'Grüße 日本'.encode('utf-16-le') in open('$width.exe', 'rb').read()" || fail "no string in $width.exe"
  ok p $width.exe --set-version-string ProductName again
  ok p $width.exe --get-version-string ProductName > name
  has name '^again'
  ok p $width.exe --get-version-string FileVersion > version
  has version '1\.2\.3\.4'
  ok $RUN $width.exe > got
  same want got
  python3 -c "
b = open('$width.exe', 'rb').read()
assert 'again'.encode('utf-16-le') in b and 'Grüße'.encode('utf-16-le') not in b, 'the string'
assert bytes([4, 0, 3, 0]) in b and b.count(b'\x89PNG' + bytes(600)) == 1, 'numbers, icon'" \
    || fail "$width.exe is not what was asked for"
done
# A program with resources of its own: itself.
cp "$EXE" own.exe
chmod u+w own.exe
ok p own.exe --set-file-version 7.8
ok $RUN own.exe own.exe --get-version-string ProductName > name
has name rcedit
p --get-version-string > log 2>&1 && fail "no file was named, and it succeeded"
:
