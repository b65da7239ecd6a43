"""A pod's volumes as files: what they hold, where they are, what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from graylane.cluster.kubelet import volumes
from graylane.cluster.kubelet.contents import File, Given, Wish, files_of, token_wishes, volume_sources
from graylane.cluster.kubelet.downward import ConfigProblem, Place
from graylane.cluster.kubelet.environment import expand
from graylane.model.kinds import CONFIG_MAP, SECRET
from graylane.model.meta import Obj

PLACE = Place("127.20.0.2", "127.0.0.1", "graylane", {"cpu": 2})
OBJECTS: dict[Any, Obj] = {
    (CONFIG_MAP, "cfg"): {"data": {"color": "red", "size": "3"}},
    (SECRET, "pwd"): {"data": {"password": base64.b64encode(b"s3cret").decode()}},
}
CONFIG = {"name": "cfg", "configMap": {"name": "cfg"}}


def given(*found: Obj, objects: Any = OBJECTS, tokens: Any = None, labels: Any = None) -> Given:
    main = {"name": "main", "resources": {"limits": {"cpu": "250m"}}}
    metadata = {"name": "web", "labels": labels or {"app": "web"}}
    pod = {"metadata": metadata, "spec": {"containers": [main], "volumes": list(found)}}
    return Given(pod, PLACE, objects, tokens or {})


def prepared(directory: Path, *found: Obj, **more: Any) -> dict[str, Path]:
    return volumes.prepare(directory, given(*found, **more), {})


def mounted(where: dict[str, Path], *found: Obj) -> volumes.Mounts:
    return volumes.mounts({"volumeMounts": list(found)}, where, lambda text: expand(text, {"POD": "web-0"}))


def test_volumes_become_directories_that_containers_are_told_of(tmp_path: Path) -> None:
    items = [{"key": "color", "path": "sub/c.txt"}]
    where = prepared(
        tmp_path,
        {"name": "tmp", "emptyDir": {}},
        {"name": "cfg", "configMap": {"name": "cfg", "items": items}},
        {"name": "pwd", "secret": {"secretName": "pwd", "defaultMode": 0o400}},
    )
    found = mounted(
        where,
        {"name": "cfg", "mountPath": "config"},
        {"name": "pwd", "mountPath": "/etc/pwd"},
        {"name": "tmp", "mountPath": "work/tmp"},
    )
    (tmp_path / "cwd").mkdir()
    volumes.link(tmp_path / "cwd", found.links)
    assert (tmp_path / "cwd/config/sub/c.txt").read_text() == "red"
    assert (tmp_path / "cwd/work/tmp").is_dir()
    secret = Path(found.env["GRAYLANE_MOUNT_PWD"]) / "password"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("s3cret", 0o400)
    (note,) = found.notes
    assert "not at /etc/pwd" in note
    assert "$GRAYLANE_MOUNT_PWD" in note


def test_preparing_again_takes_in_what_changed_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    where = prepared(tmp_path, CONFIG)["cfg"]
    before = (where / "color").stat()
    prepared(tmp_path, CONFIG, objects={(CONFIG_MAP, "cfg"): {"data": {"color": "red", "new": "1"}}})
    assert {path.name for path in where.iterdir()} == {"color", "new"}
    assert (where / "color").stat().st_ino == before.st_ino
    prepared(tmp_path, CONFIG, objects={(CONFIG_MAP, "cfg"): {"data": {"color": "blue"}}})
    assert (where / "color").read_text() == "blue"


def test_a_part_of_a_volume_may_be_named_by_variables(tmp_path: Path) -> None:
    where = prepared(tmp_path, {"name": "work", "emptyDir": {}}, CONFIG)
    found = mounted(
        where,
        {"name": "work", "mountPath": "mine", "subPathExpr": "pods/$(POD)"},
        {"name": "cfg", "mountPath": "c.txt", "subPath": "color"},
    )
    assert found.links["mine"] == where["work"] / "pods/web-0"
    assert found.links["mine"].is_dir()
    assert found.links["c.txt"].read_text() == "red"


@pytest.mark.parametrize("inner", ["../x", "/x", "a/../../x"])
def test_no_part_leaves_its_volume(tmp_path: Path, inner: str) -> None:
    where = prepared(tmp_path, {"name": "work", "emptyDir": {}})
    with pytest.raises(ConfigProblem, match="leads out of the volume"):
        mounted(where, {"name": "work", "mountPath": "m", "subPath": inner})


def test_the_pod_itself_is_files(tmp_path: Path) -> None:
    items: list[Obj] = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
        {"path": "deep/name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o600},
    ]
    volume = {"name": "info", "downwardAPI": {"items": items, "defaultMode": 0o444}}
    assert files_of(volume, given(volume)) == {
        "labels": File(b'app="web"', 0o444),
        "cpu": File(b"250", 0o444),
        "deep/name": File(b"web", 0o600),
    }
    where = prepared(tmp_path, volume)["info"]
    prepared(tmp_path, volume, labels={"app": "other"})
    assert (where / "labels").read_text() == 'app="other"'


def test_several_sources_share_one_volume_and_the_later_one_wins() -> None:
    items = [{"key": "password", "path": "color", "mode": 0o400}]
    sources = [
        {"configMap": {"name": "cfg"}},
        {"secret": {"name": "pwd", "items": items}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
        {"configMap": {"name": "none", "optional": True}},
    ]
    volume = {"name": "all", "projected": {"sources": sources, "defaultMode": 0o440}}
    wish = Wish("vault", 600)
    filled = given(volume, tokens={wish: "t0ken"})
    assert files_of(volume, filled) == {
        "color": File(b"s3cret", 0o400),
        "size": File(b"3", 0o440),
        "name": File(b"web", 0o440),
        "token": File(b"t0ken", 0o440),
    }
    assert token_wishes(filled.pod) == {wish}
    assert volume_sources(filled.pod) == {(CONFIG_MAP, "cfg"), (SECRET, "pwd"), (CONFIG_MAP, "none")}
    with pytest.raises(ConfigProblem, match='volume "all" : the API gives no token'):
        files_of(volume, given(volume))


def test_a_directory_of_the_machine_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "file").touch()

    def on(path: str, kind: str = "") -> Path:
        volume = {"name": "host", "hostPath": {"path": str(tmp_path / path), "type": kind}}
        return prepared(tmp_path / "pod", volume)["host"]

    assert on("data", "Directory") == tmp_path / "data"
    assert on("file", "File") == tmp_path / "file"
    assert on("new/deep", "DirectoryOrCreate").is_dir()
    assert on("touched", "FileOrCreate").is_file()
    for path, kind in (("data", "File"), ("file", "DirectoryOrCreate"), ("none", "Directory"), ("file", "Socket")):
        with pytest.raises((ConfigProblem, FileExistsError)):
            on(path, kind)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
def test_no_file_leaves_its_volume(tmp_path: Path, path: str) -> None:
    items = [{"key": "color", "path": path}]
    with pytest.raises(ConfigProblem, match="leads out of the volume"):
        prepared(tmp_path, {"name": "cfg", "configMap": {"name": "cfg", "items": items}})


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"name": "v", "configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"name": "v", "secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"name": "v", "configMap": {"name": "cfg", "items": [{"key": "k", "path": "p"}]}}, "non-existent key: k"),
        ({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, 'persistentvolumeclaim "c" is not bound'),
    ],
)
def test_a_volume_of_nothing_is_told_as_kubelet_tells_it(tmp_path: Path, volume: Obj, why: str) -> None:
    with pytest.raises(ConfigProblem, match=f'MountVolume.SetUp failed for volume "v" : .*{why}'):
        prepared(tmp_path, volume)
