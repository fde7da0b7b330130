# Queries with known answers, an integrity check by Python's own SQLite, WAL mode, import and dump.
. "${0%/*}/lib.sh"
cat > t.sql <<'S'
create table t(id integer primary key, w text, n real);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 30000) insert into t select i, 'word' || (i * 7919 % 1009), i / 4.0 from c;
create index tw on t(w);
begin; delete from t where id % 3 = 0; commit; vacuum;
select count(*), min(id), max(id), sum(n) from t;
select printf('%.4f|%08d|%s', 3.14159, 42, upper('abc')), date('2020-02-28', '+2 days');
create virtual table f using fts5(body); insert into f select w || ' alpha ' || id from t where id % 50 = 1;
select count(*) from f where f match 'alpha';
pragma integrity_check;
S
ok p -batch t.db < t.sql > o
lf o
printf '%s\n' '20000|1|29999|75000000.0' '3.1416|00000042|ABC|2020-03-01' 400 ok > want
same o want
python3 -c "
import sqlite3; c = sqlite3.connect('t.db'); assert c.execute('pragma integrity_check').fetchone()[0] == 'ok'
assert c.execute('select count(*), sum(id) from t').fetchone() == (20000, 300000000)" || fail "Python's SQLite disagrees"
python3 -c "
for i in range(3000): print('%d,name%d,\"q, %d\"' % (i, i % 97, i * i))" > in.csv
printf '%s\n' 'pragma journal_mode=wal;' 'create table c(a int, b, c);' '.import --csv in.csv c' 'select count(*), sum(a) from c;' > w.sql
ok p -batch w.db < w.sql > o
lf o
printf '%s\n' wal '3000|4498500' > want
same o want
ok p -batch w.db .dump > dump
[ "$(grep -c '^INSERT' dump)" = 3000 ] || fail "the dump is not whole"
