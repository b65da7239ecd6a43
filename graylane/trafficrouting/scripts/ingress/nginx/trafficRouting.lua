-- Ingress of ingress-nginx, and of Higress, which reads the same annotations: the canary's own, beside the user's.
--
-- In:  obj.annotations   of the user's Ingress
--      obj.matches       {headers} entries; when there are any, the weight is not looked at
--      obj.weight        "0".."100", or "-1" when the strategy has none, which means all
--      obj.requestHeaderModifier, obj.canaryService
-- Out: the canary Ingress's annotations. What annotations cannot say is refused: a lane that leads elsewhere than asked
-- is worse than none.

local CONTROLLER, PREFIX = "nginx", "nginx.ingress.kubernetes.io/"
local annotations = obj.annotations

function Set(name, value)
  annotations[PREFIX .. name] = value
end

-- Whatever the user's Ingress says of canaries is about another one.
function Forget(prefix)
  local names = {}
  for name in pairs(annotations) do
    if string.sub(name, 1, #prefix) == prefix then
      table.insert(names, name)
    end
  end
  for _, name in ipairs(names) do
    annotations[name] = nil
  end
end

function Refuse(what)
  error(CONTROLLER .. " cannot " .. what .. "; route with customNetworkRefs, or change the strategy", 0)
end

-- The one condition of a match. The controller needs one of several annotations to hold, never two at a time.
function Condition(match)
  local headers = match.headers or {}
  if match.path ~= nil or #(match.queryParams or {}) > 0 then
    Refuse("tell requests apart by path or query parameter")
  elseif #headers ~= 1 then
    Refuse("ask for " .. #headers .. " headers in one match")
  end
  return headers[1]
end

-- OpenKruise's way to say a cookie: a header of this name, whose value is the cookie's name.
function MatchCookie(condition)
  if condition.type == "RegularExpression" then
    Refuse("match a cookie by regular expression")
  elseif annotations[PREFIX .. "canary-by-cookie"] ~= nil then
    Refuse("match two cookies")
  end
  Set("canary-by-cookie", condition.value)
end

function MatchHeader(condition)
  if annotations[PREFIX .. "canary-by-header"] ~= nil then
    Refuse("match two headers, be it in one match or in two")
  end
  Set("canary-by-header", condition.name)
  if condition.type == "RegularExpression" then
    Set("canary-by-header-pattern", condition.value)
  else
    Set("canary-by-header-value", condition.value)
  end
end

if obj.requestHeaderModifier ~= nil then
  Refuse("change request headers")
end

Forget(PREFIX .. "canary")
Set("canary", "true")
if obj.matches ~= nil and #obj.matches > 0 then
  for _, match in ipairs(obj.matches) do
    local condition = Condition(match)
    if condition.name == "canary-by-cookie" then
      MatchCookie(condition)
    else
      MatchHeader(condition)
    end
  end
else
  Set("canary-weight", obj.weight == "-1" and "100" or obj.weight)
end
return annotations
