# Checks C programs: an access out of bounds and a leak are found, in text and as XML, by one thread and by several.
. "${0%/*}/lib.sh"
# The package's own library description is not brought along: the functions that matter here suffice.
cat > std.cfg <<'END'
<?xml version="1.0"?>
<def format="2"><memory><alloc init="false">malloc</alloc><dealloc>free</dealloc></memory></def>
END
cat > bad.c <<'END'
int sum(const int *v, int n) { int s = 0; for (int i = 0; i < n; i++) s += v[i]; return s; }
int main(void)
{
    int a[4] = {1, 2, 3, 4};
    char *p = malloc(8);
    p[0] = 1;
    a[4] = sum(a, 4);
    return a[0] + p[0];
}
END
for i in 1 2 3 4; do echo "int f$i(int x) { return x / (x - x); } int g$i(void) { int a[$i]; return a[$i]; }" > "part$i.c"; done
ok p --quiet --template='{file}:{line}:{id}' bad.c 2> o
lf o
has o '^bad.c:7:arrayIndexOutOfBounds$'
has o '^bad.c:8:memleak$'
ok p --quiet --xml bad.c 2> o.xml
python3 -c 'import xml.etree.ElementTree as e; print(sorted(x.get("id") for x in e.parse("o.xml").iter("error")))' > ids
has ids "'arrayIndexOutOfBounds', 'memleak'"
p --quiet --error-exitcode=3 bad.c 2> o; [ $? = 3 ] || fail "the exit code for findings"
ok p --quiet -j1 --template='{file}:{line}:{id}' part*.c 2> one
ok p --quiet -j4 --template='{file}:{line}:{id}' part*.c 2> four
sort one > one.s; sort four > four.s
same one.s four.s
[ "$(grep -c arrayIndexOutOfBounds one)" = 4 ] || fail "not all four were found"
