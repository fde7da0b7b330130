# A script that checks itself: strings, files in both modes, sorting, coroutines, the os library, arguments, exit code.
. "${0%/*}/lib.sh"
cat > t.lua <<'L'
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
assert(fib(22) == 17711)
assert(string.format("%5.2f|%-6s|%06d|%g|%x", 3.14159, "ab", 42, 1e20, 255) == " 3.14|ab    |000042|1e+20|ff")
local f = assert(io.open("a.bin", "wb")) f:write("a\r\nb\nc\0d") f:close()
f = assert(io.open("a.bin", "rb")) local s = f:read("a") assert(#s == 8 and s:byte(8) == 100)
assert(f:seek("set", 3) == 3 and f:read(1) == "b") f:close()
f = assert(io.open("t.txt", "w")) f:write("one\ntwo\nthree\n") f:close()
local n = 0 for line in io.lines("t.txt") do n = n + #line end assert(n == 11)
f = io.open("t.txt", "rb") assert(f:read("a") == "one\r\ntwo\r\nthree\r\n") f:close()
assert(os.rename("t.txt", "u.txt") and os.remove("u.txt"))
local nothing, message, code = io.open("nosuch", "r") assert(nothing == nil and code == 2 and message == "nosuch: No such file or directory")
local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end table.sort(t) for i = 2, #t do assert(t[i - 1] <= t[i]) end
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end) assert(co() + co() + co() == 14)
assert(os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365) == "1971-01-01 00:00:00" and os.time() > 1600000000 and os.clock() >= 0)
assert(os.getenv("SCENARIO") == "some value" and os.getenv("NOSUCH") == nil)
assert(pcall(error, "x") == false and select(2, pcall(error, {7}))[1] == 7)
assert(math.tointeger(2^53) == 9007199254740992 and tonumber("0x1p4") == 16 and 0.1 + 0.2 ~= 0.3 and tostring(0.1) == "0.1")
assert(#arg == 4 and arg[1] == "a b" and arg[2] == '"q"' and arg[3] == "" and arg[4] == "c\\d\\")
local input = io.read("a") assert(input == "line 1\nline 2\n", input)
io.write("fine\n") io.stderr:write("to stderr\n") os.exit(7)
L
printf 'line 1\r\nline 2\r\n' | SCENARIO='some value' p t.lua 'a b' '"q"' '' 'c\d\' > o 2> e
status=$?
[ $status = 7 ] || { cat o e >&2; fail "exit status $status, not 7"; }
lf o; has o '^fine$'; has e 'to stderr'
echo 'error("boom")' > e.lua
p e.lua > o 2> e && fail "an error in the script was not reported"
has e 'boom'
