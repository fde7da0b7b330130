# A source tree into .7z on two threads, tested, listed and extracted: every file as it was.
. "${0%/*}/lib.sh"
mkdir in
cp -r "$ROOT/sample-binaries" "$ROOT/bench" in/
tree in > want
ok p a -bd -mmt=2 -mx=5 a.7z in > log
ok p t -bd a.7z > log
has log 'Everything is Ok'
ok p x -bd -oout a.7z > log
tree out/in > got
same want got
