# Solves: integers, bit vectors and strings, an unsatisfiable core, a puzzle; a model is checked by arithmetic here.
. "${0%/*}/lib.sh"
cat > sum.smt2 <<'END'
(declare-const x Int) (declare-const y Int)
(assert (= (+ (* 3 x) (* 5 y)) 47)) (assert (> x 0)) (assert (> y x))
(check-sat) (eval x) (eval y)
END
ok p sum.smt2 > o
lf o
{ read -r answer; read -r x; read -r y; } < o
[ "$answer" = sat ] && [ $((3 * x + 5 * y)) = 47 ] && [ "$x" -gt 0 ] && [ "$y" -gt "$x" ] || fail "not a solution: $answer $x $y"
cat > core.smt2 <<'END'
(set-option :produce-unsat-cores true)
(declare-const a Bool) (declare-const b Bool)
(assert (! (or a b) :named either)) (assert (! (not a) :named nota)) (assert (! (not b) :named notb)) (assert (! (=> a b) :named idle))
(check-sat) (get-unsat-core)
END
ok p core.smt2 > o
lf o
has o '^unsat$'
has o 'either'
grep -q idle o && fail "the core is not a small one"
# No 32-bit number's square is 3 modulo 2^32; one is 17.
bits() { echo "(declare-const v (_ BitVec 32)) (assert (= (bvmul v v) #x000000$1)) (check-sat)" | ok p -in -smt2; }
bits 03 > o; has o unsat
bits 11 > o; has o '^sat'
echo '(declare-const s String) (assert (= (str.len s) 6)) (assert (str.prefixof "ab" s)) (assert (str.suffixof "yz" s)) (check-sat) (eval s)' > s.smt2
ok p s.smt2 > o
has o '"ab..yz"'
# Eight queens.
{
    for i in 1 2 3 4 5 6 7 8; do echo "(declare-const q$i Int) (assert (and (> q$i 0) (< q$i 9)))"; done
    for i in 1 2 3 4 5 6 7; do for j in 2 3 4 5 6 7 8; do [ $j -gt $i ] &&
        echo "(assert (and (not (= q$i q$j)) (not (= (- q$i q$j) $((j - i)))) (not (= (- q$j q$i) $((j - i))))))"; done; done
    echo '(check-sat) (get-value (q1 q2 q3 q4 q5 q6 q7 q8))'
} > queens.smt2
ok p queens.smt2 > o
python3 - <<'END' || fail "these queens see each other"
import re
text = open("o").read()
q = [int(n) for n in re.findall(r"q\d (\d)", text)]
assert text.startswith("sat") and len(q) == 8 and all(q[i] != q[j] and abs(q[i] - q[j]) != j - i for j in range(8) for i in range(j)), text
END
printf '(declare-const x Int)\n(check-sat' > bad.smt2
p bad.smt2 > o && fail "a file that ends in the middle passed"
has o '^(error "line 2 column [0-9]*: invalid expression, unexpected input")'
