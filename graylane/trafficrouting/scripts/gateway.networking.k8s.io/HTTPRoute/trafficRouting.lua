-- HTTPRoute: sends the strategy's requests, or its share of all requests, to the canary's Service.
--
-- In:  obj.data              spec, labels, annotations of the user's HTTPRoute
--      obj.matches           {headers, path, queryParams} entries; when there are any, the weights are not looked at
--      obj.canaryWeight      0..100, or -1 when the strategy has no weight, which means all
--      obj.stableService     the Service the rules lead to today
--      obj.canaryService     the canary's Service, never the same: an HTTPRoute knows no subsets
--      obj.requestHeaderModifier  {set, add, remove} for requests that go to the canary
--      obj.namespace         where the HTTPRoute lives
-- Out: obj.data. Only rules that lead to the stable Service are copied or changed. What is added says all its defaults,
-- because the API server would add them, and the object would never be as we wrote it.

local spec = obj.data.spec

if obj.canaryService == obj.stableService then
  error("stable and canary share Service " .. obj.stableService .. "; an HTTPRoute cannot tell them apart", 0)
end

-- Which backends are ours to work on ----------------------------------------------------------------------------------

function IsStable(backend)
  local service = (backend.kind or "Service") == "Service" and (backend.group or "") == ""
  local here = backend.namespace == nil or backend.namespace == obj.namespace
  return service and here and backend.name == obj.stableService
end

function LeadsToStable(rule)
  for _, backend in ipairs(rule.backendRefs or {}) do
    if IsStable(backend) then
      return true
    end
  end
  return false
end

-- All that the stable backend has (port, filters, weight), another Service.
function CanaryBackend(stable)
  local backend = json.copy(stable)
  backend.name = obj.canaryService
  return backend
end

-- Request headers -----------------------------------------------------------------------------------------------------

-- A rule or backend may have one such filter; what the user's does stays.
function HeaderFilter(target)
  target.filters = target.filters or json.array()
  for _, filter in ipairs(target.filters) do
    if filter.type == "RequestHeaderModifier" then
      return filter.requestHeaderModifier
    end
  end
  local modifier = json.object()
  table.insert(target.filters, {type = "RequestHeaderModifier", requestHeaderModifier = modifier})
  return modifier
end

function Put(headers, wanted)
  for _, header in ipairs(headers) do
    if string.lower(header.name) == string.lower(wanted.name) then
      header.value = wanted.value
      return
    end
  end
  table.insert(headers, {name = wanted.name, value = wanted.value})
end

function ModifyRequestHeaders(target)
  local wanted = obj.requestHeaderModifier
  if wanted == nil then
    return
  end
  local modifier = HeaderFilter(target)
  for _, operation in ipairs({"set", "add"}) do
    for _, header in ipairs(wanted[operation] or {}) do
      modifier[operation] = modifier[operation] or json.array()
      Put(modifier[operation], header)
    end
  end
  for _, name in ipairs(wanted.remove or {}) do
    modifier.remove = modifier.remove or json.array()
    table.insert(modifier.remove, name)
  end
end

-- Weights -------------------------------------------------------------------------------------------------------------

-- Weights are shares of their sum, so that nothing need be rounded: 1 → 70 and 30; 1 beside another's 3 → 70, 30, 300.
-- Where everything fits into a sum of 100, it is brought to that.
function ToHundred(backends)
  local total = 0
  for _, backend in ipairs(backends) do
    total = total + backend.weight
  end
  for _, backend in ipairs(backends) do
    if total == 0 or backend.weight * 100 % total ~= 0 then
      return
    end
  end
  for _, backend in ipairs(backends) do
    backend.weight = backend.weight * 100 / total
  end
end

function SplitBackends(rule, canaryWeight)
  local canary, share = nil, 0
  for _, backend in ipairs(rule.backendRefs) do
    local weight = backend.weight or 1
    if IsStable(backend) then
      canary = canary or CanaryBackend(backend)
      share = share + weight
      backend.weight = weight * (100 - canaryWeight)
    else
      backend.weight = weight * 100
    end
  end
  canary.weight = share * canaryWeight
  ModifyRequestHeaders(canary)
  table.insert(rule.backendRefs, canary)
  ToHundred(rule.backendRefs)
end

-- Matches -------------------------------------------------------------------------------------------------------------

local EVERYTHING = {type = "PathPrefix", value = "/"}

function CannotCombine(what)
  error("a rule and the strategy both match " .. what .. ", one by regular expression; they cannot be combined", 0)
end

-- Prefixes are of whole path elements: /api holds /api/users and not /apis.
function IsBelow(path, prefix)
  local bare = string.gsub(prefix, "/$", "")
  return path == bare or string.sub(path, 1, #bare + 1) == bare .. "/"
end

-- The one path that both hold; nil when no request satisfies both.
function BothPaths(theirs, ours)
  if theirs.type == ours.type and theirs.value == ours.value then
    return theirs
  elseif theirs.type == "PathPrefix" and theirs.value == "/" then
    return ours
  elseif ours.type == "PathPrefix" and ours.value == "/" then
    return theirs
  elseif theirs.type == "RegularExpression" or ours.type == "RegularExpression" then
    CannotCombine("the path")
  elseif theirs.type == "PathPrefix" and IsBelow(ours.value, theirs.value) then
    return ours
  elseif ours.type == "PathPrefix" and IsBelow(theirs.value, ours.value) then
    return theirs
  end
  return nil
end

-- Adds named conditions to `match[field]`; false when no request can satisfy them all.
function AddConditions(match, field, entries)
  for _, entry in ipairs(entries or {}) do
    match[field] = match[field] or json.array()
    local wanted, known = {type = entry.type or "Exact", name = entry.name, value = entry.value}, nil
    for _, theirs in ipairs(match[field]) do
      local same = theirs.name == entry.name
      if same or (field == "headers" and string.lower(theirs.name) == string.lower(entry.name)) then
        known = theirs
      end
    end
    if known == nil then
      table.insert(match[field], wanted)
    elseif (known.type or "Exact") ~= wanted.type then
      CannotCombine(field .. " " .. entry.name)
    elseif known.value ~= wanted.value then
      if wanted.type ~= "Exact" then
        CannotCombine(field .. " " .. entry.name)
      end
      return false
    end
  end
  return true
end

-- A filter that replaces the matched prefix means another prefix once the strategy has narrowed the path.
function RewritesPrefix(rule)
  for _, filter in ipairs(rule.filters or {}) do
    local change = filter.urlRewrite or filter.requestRedirect
    if change ~= nil and change.path ~= nil and change.path.type == "ReplacePrefixMatch" then
      return true
    end
  end
  return false
end

-- One match of a rule and one of the strategy, both required; nil when no request can satisfy both.
function Combine(rule, theirs, wanted)
  local match = json.copy(theirs)
  match.path = match.path or json.copy(EVERYTHING)
  if wanted.path ~= nil then
    local path = BothPaths(match.path, {type = wanted.path.type or "PathPrefix", value = wanted.path.value})
    if path == nil then
      return nil
    elseif path ~= match.path and RewritesPrefix(rule) then
      error("a rule replaces its path prefix, which the strategy's path would change; match headers instead", 0)
    end
    match.path = path
  end
  local possible = AddConditions(match, "headers", wanted.headers)
    and AddConditions(match, "queryParams", wanted.queryParams)
  return possible and match or nil
end

-- The rule for the canary: all that `rule` has, for those of its requests that one match of the strategy wants. Nil when
-- there are none. A rule without matches has them all, so its canary has the strategy's and never becomes a catch-all.
function CanaryRule(rule, wanted, number)
  local alternatives, matches = rule.matches, json.array()
  if alternatives == nil or #alternatives == 0 then
    alternatives = {json.object()}
  end
  for _, theirs in ipairs(alternatives) do
    table.insert(matches, Combine(rule, theirs, wanted))
  end
  if #matches == 0 then
    return nil
  end
  local canary = json.copy(rule)
  canary.matches = matches
  for i, backend in ipairs(canary.backendRefs) do
    if IsStable(backend) then
      canary.backendRefs[i] = CanaryBackend(backend)
    end
  end
  if rule.name ~= nil then
    canary.name = rule.name .. "-canary" .. (number > 1 and "-" .. number or "")
  end
  ModifyRequestHeaders(canary)
  return canary
end

-- Main ----------------------------------------------------------------------------------------------------------------

local rules, found = json.array(), 0
for _, rule in ipairs(spec.rules or {}) do
  if LeadsToStable(rule) then
    found = found + 1
    if obj.matches ~= nil and #obj.matches > 0 then
      for number, wanted in ipairs(obj.matches) do
        local canary = CanaryRule(rule, wanted, number)
        if canary ~= nil then
          table.insert(rules, canary)
        end
      end
    else
      SplitBackends(rule, obj.canaryWeight == -1 and 100 or obj.canaryWeight)
    end
  end
  table.insert(rules, rule)
end

-- A release whose lane leads nowhere must not look like one that works.
if found == 0 then
  error("no rule leads to Service " .. obj.stableService .. ", so there is nothing to divert", 0)
end
spec.rules = rules
return obj.data
