# Shared by the scenarios (sourced, POSIX sh). The test gives:
#   RUN       the command that runs a Windows program, as words
#   EXE       the program
#   ROOT      the project's folder, whose own files serve as data
# A scenario runs in an empty folder of its own and passes if it ends with status 0.
set -u
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
# p ARGS...: the program
p() { $RUN "$EXE" "$@"; }
# ok COMMAND...: it must succeed
ok() { "$@" || fail "exit status $? from: $*"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
has() { grep -q -e "$2" "$1" || { head -c 600 "$1" >&2; fail "$1 lacks: $2"; }; }
lf() { tr -d '\r' < "$1" > "$1.lf" && mv "$1.lf" "$1"; }
# tree FOLDER: the name and checksum of every file beneath it
tree() { (cd "$1" && find . -type f -exec sha256sum {} + | sort -k 2); }
