-- Exercises what an interpreter that was miscompiled would get wrong.
local function fibonacci(n)
    if n < 2 then return n end
    return fibonacci(n - 1) + fibonacci(n - 2)
end
assert(fibonacci(24) == 46368)
assert(7 // 2 == 3 and -7 // 2 == -4 and 7.5 // 2 == 3.0)
assert(math.maxinteger + 1 == math.mininteger)
assert(("%5.2f|%x"):format(3.14159, 255) == " 3.14|ff")
assert(("key = value"):match("^(%w+)%s*=%s*(%w+)$") == "key")

local words = {}
for word in ("the quick brown fox"):gmatch("%a+") do words[#words + 1] = word end
table.sort(words)
assert(table.concat(words, ",") == "brown,fox,quick,the")

local producer = coroutine.wrap(function()
    for i = 1, 3 do coroutine.yield(i * i) end
end)
assert(producer() + producer() + producer() == 14)

local ok, message = pcall(error, { code = 42 })
assert(not ok and message.code == 42)

local vector = setmetatable({ 1, 2 }, {
    __add = function(a, b) return a[1] + b[1] + a[2] + b[2] end,
})
assert(vector + vector == 6)

local name = os.tmpname()
local file = assert(io.open(name, "w"))
file:write("line\n"):close()
for line in io.lines(name) do assert(line == "line") end
assert(os.remove(name))

print(_VERSION .. ": all is well")
