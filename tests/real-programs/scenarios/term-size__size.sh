# Two numbers, columns and rows, also when there is no terminal.
. "${0%/*}/lib.sh"
ok p > o < /dev/null
lf o
[ "$(grep -c '^[0-9][0-9]*$' o)" = 2 ] || { cat o >&2; fail "not two numbers"; }
