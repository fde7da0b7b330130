# What pip puts before scripts: a stub, the interpreter's path, an archive. It starts the interpreter with the archive and our
# arguments; here that is echo of the host.
. "${0%/*}/lib.sh"
python3 - "$EXE" <<'P'
import io, sys, zipfile
b = io.BytesIO()
with zipfile.ZipFile(b, "w") as z:
    z.writestr("__main__.py", "x")
with open("tool.exe", "wb") as f:
    f.write(open(sys.argv[1], "rb").read() + b"#!<launcher_dir>\\echo.exe\r\n" + b.getvalue())
P
cp /bin/echo echo.exe
ok $RUN ./tool.exe 'a b' c > o
lf o
has o 'tool.exe a b c$'
