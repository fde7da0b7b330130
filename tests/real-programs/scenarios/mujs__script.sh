# JavaScript with known answers: strings, regular expressions, JSON, dates, number formatting.
. "${0%/*}/lib.sh"
cat > a.js <<'J'
function primes(n) { var r = [], i, j, ok; for (i = 2; r.length < n; i++) { ok = true; for (j = 0; j < r.length && r[j] * r[j] <= i; j++) if (i % r[j] === 0) { ok = false; break; } if (ok) r.push(i); } return r; }
print(primes(400)[399]);
print(JSON.stringify({a: [1, 2, {b: null}], s: "\u00e9"}));
print(/(\w+)@(\w+)/.exec("me@host")[2], new Date(0).toISOString());
print((0.1 + 0.2).toFixed(17), (1e21).toString(), (255).toString(16), parseFloat("1.5e3"));
print([3, 1, 2].sort().join(), "abc".replace(/b/g, "[$&]"), Math.pow(2, 10) / 8);
J
ok p a.js > o
lf o
printf '%s\n' 2741 '{"a":[1,2,{"b":null}],"s":"é"}' 'host 1970-01-01T00:00:00.000Z' '0.30000000000000004 1e+21 ff 1500' '1,2,3 a[b]c 128' > want
same o want
echo 'throw new Error("boom")' > e.js
p e.js > o 2>&1 && fail "an error in the script was not reported"
has o boom
