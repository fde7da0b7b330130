# What needs no child process: the version, the tools that read a build file, and a dry run.
. "${0%/*}/lib.sh"
ok p --version > o
lf o
has o '^1\.13\.'
printf 'rule cp\n  command = cmd /c copy $in $out\nbuild b.txt: cp a.txt\nbuild c.txt: cp b.txt\ndefault c.txt\n' > build.ninja
echo a > a.txt
ok p -n -v > o
lf o
has o 'copy a.txt b.txt'
ok p -t targets all > o
lf o
has o '^c.txt: cp$'
ok p -t graph > o
has o '^digraph'
p -f nosuch.ninja > o 2>&1 && fail "a missing build file passed"
:
