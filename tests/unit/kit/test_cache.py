"""The cache believes the newest version and never resurrects what we deleted."""

from graylane.kit.cache import Cache, View
from graylane.model.kinds import POD
from graylane.model.meta import Key, Obj
from graylane.model.selectors import LabelSelector


def pod(name: str, version: int, uid: str = "u", **labels: str) -> Obj:
    owner = [{"uid": "rs", "controller": True}]
    return {
        "metadata": {
            "name": name,
            "namespace": "d",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
            "ownerReferences": owner,
        }
    }


def test_an_older_echo_of_our_own_write_is_ignored() -> None:
    cache = Cache()
    cache.put(pod("a", 5, app="new"))
    assert cache.put(pod("a", 4, app="old")) is None
    assert cache.objects[Key("d", "a")]["metadata"]["labels"] == {"app": "new"}


def test_what_we_deleted_stays_deleted_until_the_watch_agrees() -> None:
    cache = Cache()
    cache.put(pod("a", 5))
    cache.bury(Key("d", "a"), "u")
    assert cache.put(pod("a", 6)) is None
    cache.mourned("u")
    assert cache.put(pod("a", 7, uid="another")) is not None


def test_a_fresh_list_shows_deletions_missed_while_away() -> None:
    cache = Cache()
    cache.put(pod("a", 1))
    cache.put(pod("b", 2))
    changes = cache.replace_all([pod("b", 2), pod("c", 3)])
    assert {(change.key.name, change.new is None) for change in changes} == {("a", True), ("c", False)}


def test_views_list_by_namespace_selector_and_owner() -> None:
    cache = Cache()
    for item in (pod("b", 1, app="web"), pod("a", 2, app="db")):
        cache.put(item)
    view = View({POD: cache})
    assert [obj["metadata"]["name"] for obj in view.list(POD, "d")] == ["a", "b"]
    assert [obj["metadata"]["name"] for obj in view.list(POD, None, LabelSelector.parse("app=web"))] == ["b"]
    assert len(view.owned_by(POD, "rs")) == 2
    cache.remove(Key("d", "a"))
    assert len(view.owned_by(POD, "rs")) == 1


def test_a_selector_with_an_exact_label_looks_only_at_objects_that_have_it() -> None:
    cache = Cache()
    for number in range(20):
        cache.put(pod(f"p{number}", number + 1, app="web" if number % 2 else "db", tier="x"))
    selector = LabelSelector.parse("app=web,tier in (x,y)")
    assert len(cache.candidates("d", selector)) == 10
    assert len(View({POD: cache}).list(POD, "d", selector)) == 10
    cache.put(pod("p1", 99, app="db"))
    assert len(View({POD: cache}).list(POD, "d", selector)) == 9


def colours(obj: Obj) -> list[str]:
    return list(obj.get("colours", ()))


def coloured(name: str, version: int, *found: str) -> Obj:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}, "colours": found}


def test_an_index_of_ones_own_begins_with_what_is_known_and_follows_every_change() -> None:
    cache = Cache()
    cache.put(coloured("a", 1, "red"))

    def names(value: str) -> list[str]:
        return [key.name for key in cache.indexed(colours, value)]

    assert names("red") == ["a"]
    cache.put(coloured("b", 2, "red", "blue"))
    cache.put(coloured("a", 3, "blue"))
    assert (names("red"), sorted(names("blue"))) == (["b"], ["a", "b"])
    cache.remove(Key("", "b"))
    assert (names("red"), names("blue")) == ([], ["a"])
    cache.replace_all([coloured("c", 9, "red")])
    assert (names("red"), names("blue")) == (["c"], [])
