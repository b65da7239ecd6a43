-- DestinationRule: defines the subset `canary`, the pods that a Rollout labels `istio.service.tag: gray`.
--
-- In:  obj.data (spec, labels, annotations of the user's DestinationRule)
-- Out: obj.data with the subset, once. The strategy does not matter here: the VirtualService decides who goes there.

local spec = obj.data.spec

-- Appended, so that the user's subsets keep their places. A subset of that name which the user has defined is the user's:
-- a second one would be a duplicate, which Istio drops, and changing it would not be an addition that can be taken back.
function AddCanarySubset(subsets)
  for _, subset in ipairs(subsets) do
    if subset.name == "canary" then
      return
    end
  end
  table.insert(subsets, {
    name = "canary",
    labels = {["istio.service.tag"] = "gray"},
  })
end

spec.subsets = spec.subsets or json.array()
AddCanarySubset(spec.subsets)
return obj.data
