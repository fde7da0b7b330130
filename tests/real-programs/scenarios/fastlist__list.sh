# The list of processes (Toolhelp) has three columns and the program itself.
. "${0%/*}/lib.sh"
ok p > o
lf o
has o fastlist
awk -F'\t' 'NF < 3 { bad = 1 } END { exit bad }' o || fail "a row is short"
