# Builds with children, two at a time; then nothing to do; then what has changed. The commands are programs of the host.
. "${0%/*}/lib.sh"
mkdir i o
{
    echo 'rule cp'
    printf '%s\n' '  command = Z:\bin\cp $in $out'
    for k in $(seq 1 30); do echo "line $k" > "i/$k.txt"; echo "build o/$k.txt: cp i/$k.txt"; done
} > build.ninja
ok p -j2 > log
for k in $(seq 1 30); do same "i/$k.txt" "o/$k.txt"; done
ok p > log
has log 'no work to do'
touch -d '2001-01-01' o/7.txt
echo new > i/7.txt
ok p > log
same i/7.txt o/7.txt
has log '1/1'
