-- Prepares one fresh Lua state for one script and hands Python the few functions it needs.
-- Arguments: the Python functions publish(line), which tells the parent process how far the script has come, encode and
-- decode for JSON, and the line this file starts on.
-- Everything a script could use to leave the state (python, os, io, debug, package, load…, coroutine) stays behind:
-- the script's environment is a new table that holds an allow list and nothing else.

local publish, encode, decode, first_helper_line = ...

local sethook, getinfo, clock = debug.sethook, debug.getinfo, os.clock
local error, type, tostring, rawequal, rawget = error, type, tostring, rawequal, rawget
local pairs, setfenv, setmetatable, xpcall = pairs, setfenv, setmetatable, xpcall
local floor, huge, rep = math.floor, math.huge, string.rep

local LINES_PER_CHECK = 200
local LONGEST_REPEAT = 1024 * 1024

-- Where the script is. Python reads it after an error that carries no position, such as "not enough memory".
local state = {line = 0}

-- Strings: the metatable of all strings points at this table, so it is changed in place.

string.dump = nil -- byte code is the known way out of a Lua 5.1 state

string.rep = function(text, times)
  if type(text) == "string" and type(times) == "number" and #text * times > LONGEST_REPEAT then
    error("string.rep: the result would be longer than " .. LONGEST_REPEAT .. " bytes", 2)
  end
  return rep(text, times)
end

-- A pattern can run for hours inside C, where no hook is called and only killing the process helps. Publish the line
-- first, so that the error can still name it.
for _, name in pairs({"find", "match", "gmatch", "gsub"}) do
  local original = string[name]
  string[name] = function(...)
    publish(state.line)
    return original(...)
  end
end

-- JSON kinds. Lua has one empty table; JSON has two, and null besides. What came from JSON is remembered here.

local marks = setmetatable({}, {__mode = "k"}) -- table -> {kind = "array" | "object", nulls = {key = true} | nil}
local null = setmetatable({}, {
  __tostring = function() return "null" end,
  __newindex = function() error("json.null cannot be changed", 2) end,
  __metatable = "json.null",
})

local function array(existing)
  local result = existing or {}
  marks[result] = {kind = "array"}
  return result
end

local function object(existing)
  local result = existing or {}
  marks[result] = {kind = "object"}
  return result
end

local function hide_null(target, key)
  local mark = marks[target]
  mark.nulls = mark.nulls or {}
  mark.nulls[key] = true
end

local function hidden_nulls(target)
  local mark = marks[target]
  return mark and mark.nulls
end

local function copy(value)
  if type(value) ~= "table" or rawequal(value, null) then
    return value
  end
  local result = {}
  marks[result] = marks[value]
  for key, inner in pairs(value) do
    result[key] = copy(inner)
  end
  return result
end

-- The JSON kind of a table: "array" and its length, "object", "empty" when nothing tells, "null", or "error" and why.
local function classify(value)
  if rawequal(value, null) then
    return "null"
  end
  local names, numbers, highest = 0, 0, 0
  for key in pairs(value) do
    if type(key) == "string" then
      names = names + 1
    elseif type(key) == "number" and key >= 1 and key == floor(key) and key < huge then
      numbers = numbers + 1
      highest = key > highest and key or highest
    else
      return "error", "cannot encode mixed or invalid key types"
    end
  end
  if names > 0 and numbers > 0 then
    return "error", "cannot encode mixed or invalid key types"
  elseif highest > numbers then
    return "error", "cannot encode sparse array"
  elseif numbers > 0 then
    return "array", numbers
  elseif names > 0 then
    return "object"
  end
  return marks[value] and marks[value].kind or "empty"
end

-- Running.

local function positions(message, name)
  if type(message) ~= "string" then
    message = "error object is a " .. type(message)
  end
  for level = 3, 20 do
    local info = getinfo(level, "Sl")
    if not info then
      break
    end
    if info.short_src == name and info.currentline > 0 then
      return {message = message, line = info.currentline}
    end
  end
  return {message = message, line = 0}
end

local function run(chunk, name, seconds, globals)
  local env = {}
  for key, value in pairs(globals) do
    env[key] = value
  end
  env._G = env
  setfenv(chunk, env)

  local deadline = clock() + seconds
  local countdown = LINES_PER_CHECK
  local late

  -- A script may catch the first error with pcall. The second stage raises at every instruction, so no handler can run.
  local function again()
    error(late, 0)
  end

  -- Lua calls this for each new line and each jump backwards, which every endless loop makes. A count hook beside a line
  -- hook is not reliable in 5.1: instructions of the hook itself are counted, and the zero is stepped over.
  local function hook(_, line)
    if line < first_helper_line then
      state.line = line
    end
    countdown = countdown - 1
    if countdown > 0 then
      return
    end
    countdown = LINES_PER_CHECK
    publish(state.line)
    if clock() > deadline then
      late = name .. ":" .. state.line .. ": the script did not finish within " .. seconds .. " s of processor time"
      sethook(again, "", 1)
      error(late, 0)
    end
  end

  sethook(hook, "l")
  local ok, result = xpcall(chunk, function(message) return positions(message, name) end)
  sethook()
  return ok, result
end

local ALLOWED = {
  "_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset",
  "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall", "math", "table", "string",
}

local globals = {
  print = function() end, -- standard output belongs to the worker's protocol
  json = {
    null = null,
    array = array,
    object = object,
    copy = copy,
    -- Wrapped, so that no Python object is ever in a script's hands.
    encode = function(value) return encode(value) end,
    decode = function(text) return decode(text) end,
  },
}
for _, name in pairs(ALLOWED) do
  globals[name] = rawget(_G, name)
end

-- A script is a function of its object: the same input must give the same routes.
math.randomseed(0)
math.randomseed = nil

return {
  state = state,
  globals = globals,
  run = run,
  array = array,
  object = object,
  hide_null = hide_null,
  hidden_nulls = hidden_nulls,
  classify = classify,
  null = null,
}
