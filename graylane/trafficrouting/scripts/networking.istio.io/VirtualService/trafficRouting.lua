-- VirtualService: sends the strategy's requests, or its share of all requests, to the canary.
--
-- In:  obj.data              spec, labels, annotations of the user's VirtualService
--      obj.matches           {headers, path, queryParams} entries; when there are any, the weights are not looked at
--      obj.canaryWeight      0..100, or -1 when the strategy has no weight; obj.stableWeight is the rest
--      obj.stableService     the Service the routes point at today
--      obj.canaryService     the canary's Service; the same name means: the subset `canary` of the stable one
--      obj.requestHeaderModifier  {set, add, remove} for requests that go to the canary
--      obj.namespace         where the Service lives (nil under OpenKruise, which does not tell)
-- Out: obj.data. Only rules and routes that lead to the stable Service are copied or changed.

local spec = obj.data.spec

if obj.canaryWeight == -1 then
  obj.canaryWeight = 100
  obj.stableWeight = 0
end

-- Which routes are ours to work on ------------------------------------------------------------------------------------

-- The destination's host without its domain part: `mocka` of `mocka.default.svc.cluster.local`.
function GetHost(destination)
  return (string.match(destination.host, "^[^.]*"))
end

-- A first label alone does not make it our Service: `mocka.other.svc` and `mocka.example.com` are somebody else's.
function IsInNamespace(destination)
  local domain = string.match(destination.host, "^[^.]*%.([^.]*)")
  return domain == nil or obj.namespace == nil or domain == obj.namespace
end

function IsStable(route)
  local destination = route.destination
  if destination == nil or GetHost(destination) ~= obj.stableService or not IsInNamespace(destination) then
    return false
  end
  -- The canary of another TrafficRouting on this VirtualService, or of the user's own lane.
  return destination.subset ~= "canary" or obj.stableService ~= obj.canaryService
end

-- The rules of a protocol that route to the stable service. Rules without routes (redirect, delegate) are never ours.
function GetRulesToPatch(spec, protocol)
  local rules = {}
  for _, rule in ipairs(spec[protocol] or {}) do
    for _, route in ipairs(rule.route or {}) do
      if IsStable(route) then
        table.insert(rules, rule)
        break
      end
    end
  end
  return rules
end

-- The canary's route: all that the stable route has (port, headers), another destination, no weight yet.
function CanaryRoute(stable)
  local route = json.copy(stable)
  route.weight = nil
  if obj.canaryService == obj.stableService then
    route.destination.host = obj.stableService
    route.destination.subset = "canary"
  else
    route.destination.host = obj.canaryService
    route.destination.subset = nil
  end
  return route
end

-- Weights -------------------------------------------------------------------------------------------------------------

-- What a route that has `weight` of `total` keeps when the stable version gets `stableWeight` percent. Where no route of
-- the rule carries a weight, its `count` routes share evenly. The result is exact; RoundWeights makes integers of it.
function CalculateWeight(weight, total, count, stableWeight)
  if total == 0 then
    return stableWeight / count
  end
  return (weight or 0) * stableWeight / total
end

-- Integers that sum to exactly 100 (shares do, before rounding): the largest remainders are rounded up, and among equal
-- ones the first. Rounding everything down would lose a percent, and Envoy would spread the rest by surprise.
function RoundWeights(shares)
  local weights, order, missing = {}, {}, 100
  for i, share in ipairs(shares) do
    weights[i] = math.floor(share + 1e-9)
    missing = missing - weights[i]
    order[i] = i
  end
  table.sort(order, function(a, b)
    local left, right = shares[a] - weights[a], shares[b] - weights[b]
    if math.abs(left - right) > 1e-9 then
      return left > right
    end
    return a < b
  end)
  for i = 1, missing do
    weights[order[i]] = weights[order[i]] + 1
  end
  return weights
end

-- The routes of one rule with `stableWeight` percent of the stable routes' traffic kept and `canaryWeight` percent given
-- to one canary route behind them. Routes to other hosts keep their share. Stable routes left with nothing are dropped
-- when `drop` is set.
function SplitRoutes(routes, stableWeight, canaryWeight, drop)
  local total, ours, canary = 0, 0, nil
  for _, route in ipairs(routes) do
    total = total + (route.weight or 0)
  end
  local kept, shares = json.array(), {}
  for _, route in ipairs(routes) do
    local percent = 100
    if IsStable(route) then
      percent = stableWeight
      ours = ours + CalculateWeight(route.weight, total, #routes, 100)
      canary = canary or CanaryRoute(route)
    end
    if percent > 0 or not drop then
      table.insert(kept, route)
      table.insert(shares, CalculateWeight(route.weight, total, #routes, percent))
    end
  end
  table.insert(kept, canary)
  table.insert(shares, ours * canaryWeight / 100)
  if #kept > 1 then
    for i, weight in ipairs(RoundWeights(shares)) do
      kept[i].weight = weight
    end
  end
  return kept, canary
end

-- Adds the canary route to every rule of the protocol that routes to the stable service; says how many there were.
function GenerateRoutes(spec, protocol, stableWeight, canaryWeight)
  local rules = GetRulesToPatch(spec, protocol)
  for _, rule in ipairs(rules) do
    local routes, canary = SplitRoutes(rule.route, stableWeight, canaryWeight, false)
    rule.route = routes
    if protocol == "http" then
      ModifyRequestHeaders(canary)
    end
  end
  return #rules
end

-- Matches -------------------------------------------------------------------------------------------------------------

local OPERATIONS = {Exact = "exact", PathPrefix = "prefix", RegularExpression = "regex"}

-- {type = "Exact", value = "canary"} → {exact = "canary"}
function StringMatch(condition, default)
  local operation = OPERATIONS[condition.type or default]
  if operation == nil then
    error("match type " .. tostring(condition.type) .. " is not known; use Exact, PathPrefix or RegularExpression", 0)
  end
  return {[operation] = condition.value}
end

function StartsWith(text, prefix)
  return string.sub(text, 1, #prefix) == prefix
end

-- The one condition that both hold, for the same header, parameter or path; nil when nothing satisfies both. Istio has
-- no "and" within one header. `what` names it in the error.
function BothHold(theirs, ours, what)
  if theirs == nil or next(theirs) == nil or theirs.regex == "*" then
    return ours -- nothing, or only presence, is asked
  end
  local kind, value = next(theirs)
  if ours[kind] == value then
    return ours
  elseif theirs.regex ~= nil or ours.regex ~= nil then
    error("a rule and the strategy both match " .. what .. ", one by regular expression; they cannot be combined", 0)
  elseif theirs.exact ~= nil then
    local fits = ours.prefix ~= nil and StartsWith(theirs.exact, ours.prefix)
    return fits and theirs or nil
  elseif ours.exact ~= nil then
    return StartsWith(ours.exact, theirs.prefix) and ours or nil
  elseif StartsWith(theirs.prefix, ours.prefix) then
    return theirs
  end
  return StartsWith(ours.prefix, theirs.prefix) and ours or nil
end

-- Header names are compared without case, and written as the rule has them.
function KeyFor(conditions, name)
  for key in pairs(conditions) do
    if string.lower(key) == string.lower(name) then
      return key
    end
  end
  return name
end

-- Adds named conditions (headers, query parameters) to `match[field]`; false when no request can satisfy them all.
function AddConditions(match, field, entries)
  for _, entry in ipairs(entries or {}) do
    match[field] = match[field] or json.object()
    local key = field == "headers" and KeyFor(match[field], entry.name) or entry.name
    local both = BothHold(match[field][key], StringMatch(entry, "Exact"), field .. " " .. entry.name)
    if both == nil then
      return false
    end
    match[field][key] = both
  end
  return true
end

-- One match of a rule and one of the strategy, both required; nil when no request can satisfy both.
function Combine(theirs, wanted)
  local match = json.copy(theirs)
  if not AddConditions(match, "headers", wanted.headers) or not AddConditions(match, "queryParams", wanted.queryParams) then
    return nil
  end
  if wanted.path ~= nil then
    match.uri = BothHold(match.uri, StringMatch(wanted.path, "PathPrefix"), "the path")
    if match.uri == nil then
      return nil
    end
  end
  return match
end

-- A rewrite replaces the matched prefix. Where the strategy's path is longer than the rule's prefix, what it adds must
-- survive the rewrite: /api → /v1 with path /api/users becomes /api/users → /v1/users.
function AdjustRewrite(rule, theirs, match)
  local target = rule.rewrite and rule.rewrite.uri
  local before = theirs.uri == nil and "/" or theirs.uri.prefix
  local after = match.uri and (match.uri.prefix or match.uri.exact)
  if target ~= nil and before ~= nil and after ~= nil and after ~= before then
    rule.rewrite.uri = target .. string.sub(after, #before + 1)
    return true
  end
  return false
end

function ModifyRequestHeaders(target)
  local modifier = obj.requestHeaderModifier
  if modifier == nil then
    return
  end
  target.headers = target.headers or json.object()
  target.headers.request = target.headers.request or json.object()
  local request = target.headers.request
  for _, operation in ipairs({"set", "add"}) do
    for _, header in ipairs(modifier[operation] or {}) do
      request[operation] = request[operation] or {}
      request[operation][header.name] = header.value
    end
  end
  for _, name in ipairs(modifier.remove or {}) do
    request.remove = request.remove or {}
    table.insert(request.remove, name)
  end
end

-- `rule` for the canary: everything it has, but the stable routes are one canary route.
function CanaryRule(rule, matches)
  local canary = json.copy(rule)
  canary.match = matches
  canary.route = SplitRoutes(canary.route, 0, 100, true)
  if rule.name ~= nil then
    canary.name = rule.name .. "-canary"
  end
  ModifyRequestHeaders(canary)
  return canary
end

-- The rules that one match of the strategy makes of one rule: one, unless the rule's matches need different rewrites,
-- and none where no request can satisfy both.
function CanaryRules(rule, wanted)
  local alternatives = rule.match
  if alternatives == nil or #alternatives == 0 then
    alternatives = {{}}
  end
  local together, rules = json.array(), {}
  for _, theirs in ipairs(alternatives) do
    local match = Combine(theirs, wanted)
    local alone = match and CanaryRule(rule, json.array({match}))
    if match ~= nil and AdjustRewrite(alone, theirs, match) then
      table.insert(rules, alone)
    elseif match ~= nil then
      table.insert(together, match)
    end
  end
  if #together > 0 then
    table.insert(rules, 1, CanaryRule(rule, together))
  end
  return rules
end

-- Before each http rule that routes to the stable service: one rule per match of the strategy, in the strategy's order.
-- Directly before and not at the top, so that a rule which wins today (another path, another host) goes on winning.
function GenerateRoutesWithMatches(spec, matches)
  local ours = {}
  for _, rule in ipairs(GetRulesToPatch(spec, "http")) do
    ours[rule] = true
  end
  local rules, found = json.array(), 0
  for _, rule in ipairs(spec.http or {}) do
    if ours[rule] then
      found = found + 1
      for _, wanted in ipairs(matches) do
        for _, canary in ipairs(CanaryRules(rule, wanted)) do
          table.insert(rules, canary)
        end
      end
    end
    table.insert(rules, rule)
  end
  if found > 0 then
    spec.http = rules
  end
  return found
end

-- Main ----------------------------------------------------------------------------------------------------------------

-- A release whose lane leads nowhere must not look like one that works.
function RequireSome(found, what)
  if found == 0 then
    error("no " .. what .. " rule routes to service " .. obj.stableService .. ", so there is nothing to divert", 0)
  end
end

if obj.matches ~= nil and #obj.matches > 0 then
  RequireSome(GenerateRoutesWithMatches(spec, obj.matches), "http")
else
  local found = 0
  for _, protocol in ipairs({"http", "tcp", "tls"}) do
    found = found + GenerateRoutes(spec, protocol, obj.stableWeight, obj.canaryWeight)
  end
  RequireSome(found, "http, tcp or tls")
end

return obj.data
