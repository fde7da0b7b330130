# Bundles a tree of modules with a source map, and transforms what comes through a pipe.
. "${0%/*}/lib.sh"
mkdir m
echo 'export const used = (x) => x + 1; export const unused = () => "dropped";' > m/a.js
echo 'import { used } from "./a.js"; export default used(41);' > m/b.js
echo 'import value from "./m/b.js"; console.log(`answer ${value}`);' > main.js
ok p main.js --bundle --minify --sourcemap --outfile=o.js --log-level=error
has o.js 'answer'
grep -q dropped o.js && fail "unused code is there"
python3 -c 'import json; m = json.load(open("o.js.map")); assert sorted(s.split("/")[-1] for s in m["sources"]) == ["a.js", "b.js", "main.js"], m["sources"]' || fail "the source map"
printf 'let x: number = 1;\nenum E { A = 2 }\nconsole.log(x as any, E.A);\n' | ok p --loader=ts --minify-whitespace > t.js
has t.js 'console.log(x,'
grep -q ': number' t.js && fail "types are there"
echo 'import "./nosuch.js"' > bad.js
p bad.js --bundle --outfile=x.js > log 2>&1 && fail "a missing module passed"
has log 'Could not resolve'
