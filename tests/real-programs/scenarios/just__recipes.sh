# Reads a justfile, evaluates its variables, lists and runs recipes whose commands are programs of the host.
. "${0%/*}/lib.sh"
cat > justfile <<'J'
set windows-shell := ['Z:\bin\sh', '-c']
v := "val" + "ue"
h := sha256("abc")
default: a
  @echo "done {{v}}"
a:
  @echo "a {{uppercase(v)}}"
fails:
  @exit 3
J
ok p --color never --evaluate h > o
lf o
has o '^"\{0,1\}ba7816bf8f01cfea'
ok p --color never --summary > o
lf o
has o '^a default fails$'
ok p --color never > o
lf o
printf 'a VALUE\ndone value\n' > w
same o w
p --color never fails > o 2>&1
[ $? = 3 ] || fail "the recipe's status is lost"
