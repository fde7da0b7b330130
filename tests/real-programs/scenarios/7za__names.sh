# Deep folders, names beyond ASCII, empty files, and zip archives that Python reads.
. "${0%/*}/lib.sh"
mkdir -p in/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z
echo deep > in/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/file
echo one > 'in/naïve 日本.txt'
: > in/empty
i=0
while [ $i -lt 300 ]; do echo "file $i" > "in/File$i.Txt"; i=$((i + 1)); done
tree in > want
ok p a -bd a.zip in > log
python3 -c "
import zipfile; z = zipfile.ZipFile('a.zip'); assert z.testzip() is None
names = z.namelist(); assert any('naïve 日本.txt' in n for n in names), names[:9]; assert len([n for n in names if n.endswith('.Txt')]) == 300" || fail "Python cannot read the archive"
ok p x -bd -oout a.zip > log
tree out/in > got
same want got
p t -bd want > log 2>&1 && fail "a text file passed as an archive"
:
