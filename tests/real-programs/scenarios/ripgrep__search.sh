# Searches trees and pipes; grep is the independent reader.
. "${0%/*}/lib.sh"
mkdir -p c/sub; cp "$ROOT"/LICENSE* c/; cp "$ROOT"/*.md c/sub/
ok p --no-config --color never --path-separator / -n --sort path -w the c > o
lf o
(grep -rnw the c | sort -t: -k 1,1 -k 2,2n) > w
LC_ALL=C sort o > o.s; LC_ALL=C sort w > w.s
same o.s w.s
ok p --no-config -j4 --files-with-matches --path-separator / -i transom c > o
lf o; sort o > o.s
grep -rli transom c | sort > w.s
same o.s w.s
p --no-config nosuchstringanywhere c > o && fail "nothing matched, with status 0"
ok p --no-config -o 'f[a-z]+m' < "$ROOT/README.md" > o
lf o
grep -oE 'f[a-z]+m' "$ROOT/README.md" > w
same o w
ok p --no-config --json -w the c > o
python3 -c 'import json; [json.loads(line) for line in open("o")]' || fail "the JSON is none"
