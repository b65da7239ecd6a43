"""What a Deployment does, told row by row.

`sets` reads image:available/wanted, oldest revision first; `replicas` reads ready/desired, up-to-date, available, as
`kubectl get deployment` prints them.
"""

from __future__ import annotations

from .stage import Stage, deployment, rolling
from .table import tell


def told(story: str, stage: Stage) -> None:
    tell(story, stage.act, stage.columns())
    before = stage.world.writes
    stage.world.run(stage.controllers)
    assert stage.world.writes == before, "at rest, one more reconcile changes nothing"


def test_a_rolling_update_replaces_pods_without_losing_any_and_goes_back_to_the_old_set() -> None:
    told(
        """
        what happens ‖ sets          | replicas | progressing            | says
        create       ‖ v1:0/3        | 0/3 3 0  | ReplicaSetUpdated      | v1 0→3
        all ready    ‖ v1:3/3        | 3/3 3 3  | NewReplicaSetAvailable |
        image v2     ‖ v1:3/3 v2:0/1 | 3/3 1 3  | ReplicaSetUpdated      | v2 0→1
        1 ready      ‖ v1:2/2 v2:1/2 | 3/3 2 3  | ReplicaSetUpdated      | v1 3→2, v2 1→2
        1 ready      ‖ v1:1/1 v2:2/3 | 3/3 3 3  | ReplicaSetUpdated      | v1 2→1, v2 2→3
        1 ready      ‖ v1:0/0 v2:3/3 | 3/3 3 3  | NewReplicaSetAvailable | v1 1→0
        image v1     ‖ v2:3/3 v1:0/1 | 3/3 1 3  | ReplicaSetUpdated      | v1 0→1
        all ready    ‖ v2:0/0 v1:3/3 | 3/3 3 3  | NewReplicaSetAvailable | v2 3→2, v1 1→2, v2 2→1, v1 2→3, v2 1→0
        """,
        Stage(deployment()),
    )


def test_a_broken_version_never_costs_more_than_max_unavailable_and_is_dropped_for_the_next() -> None:
    told(
        """
        what happens ‖ sets                 | replicas | progressing            | available | says
        create       ‖ v1:0/4               | 0/4 4 0  | ReplicaSetUpdated      | False     | v1 0→4
        2 ready      ‖ v1:2/4               | 2/4 4 2  | ReplicaSetUpdated      | False     |
        2 ready      ‖ v1:4/4               | 4/4 4 4  | NewReplicaSetAvailable | True      |
        v2 is broken ‖ v1:4/4               | 4/4 4 4  | NewReplicaSetAvailable | True      |
        image v2     ‖ v1:3/3 v2:0/2        | 3/4 2 3  | ReplicaSetUpdated      | True      | v2 0→1, v1 4→3, v2 1→2
        image v3     ‖ v1:3/3 v2:0/0 v3:0/2 | 3/4 2 3  | ReplicaSetUpdated      | True      | v2 2→0, v3 0→2
        1 ready      ‖ v1:2/2 v2:0/0 v3:1/3 | 3/4 3 3  | ReplicaSetUpdated      | True      | v1 3→2, v3 2→3
        all ready    ‖ v1:0/0 v2:0/0 v3:4/4 | 4/4 4 4  | NewReplicaSetAvailable | True      | v1 2→0, v3 3→4
        """,
        Stage(deployment(4, strategy=rolling("25%", "25%"))),
    )


def test_recreate_waits_until_the_last_old_pod_has_stopped() -> None:
    told(
        """
        what happens ‖ sets          | replicas | progressing            | available | pods
        create       ‖ v1:0/3        | 0/3 3 0  | ReplicaSetUpdated      | False     | 3
        all ready    ‖ v1:3/3        | 3/3 3 3  | NewReplicaSetAvailable | True      | 3
        image v2     ‖ v1:0/0        | 0/3 0 0  | NewReplicaSetAvailable | False     | 3
        5 seconds    ‖ v1:0/0 v2:0/3 | 0/3 3 0  | ReplicaSetUpdated      | False     | 3
        all ready    ‖ v1:0/0 v2:3/3 | 3/3 3 3  | NewReplicaSetAvailable | True      | 3
        """,
        Stage(deployment(strategy={"type": "Recreate"}), stop_seconds=5),
    )


def test_a_paused_rollout_shares_a_new_size_in_proportion() -> None:
    told(
        """
        what happens ‖ sets            | replicas    | progressing            | available | says
        create       ‖ v1:0/10         | 0/10 10 0   | ReplicaSetUpdated      | False     | v1 0→10
        all ready    ‖ v1:10/10        | 10/10 10 10 | NewReplicaSetAvailable | True      |
        image v2     ‖ v1:8/8 v2:0/5   | 8/10 5 8    | ReplicaSetUpdated      | True      | v2 0→3, v1 10→8, v2 3→5
        pause        ‖ v1:8/8 v2:0/5   | 8/10 5 8    | DeploymentPaused       | True      |
        scale 15     ‖ v1:8/11 v2:0/7  | 8/15 7 8    | DeploymentPaused       | False     | v1 8→11, v2 5→7
        all ready    ‖ v1:11/11 v2:7/7 | 18/15 7 18  | DeploymentPaused       | True      |
        resume       ‖ v1:6/6 v2:7/12  | 13/15 12 13 | ReplicaSetUpdated      | True      | v1 11→6, v2 7→12
        all ready    ‖ v1:0/0 v2:15/15 | 15/15 15 15 | NewReplicaSetAvailable | True      | v1 6→1, v2 12→15, v1 1→0
        """,
        Stage(deployment(10, strategy=rolling(3, 2))),
    )


def test_a_rollout_that_does_not_progress_says_so_after_its_deadline_and_recovers() -> None:
    told(
        """
        what happens ‖ sets                 | replicas | progressing              | available
        create       ‖ v1:0/2               | 0/2 2 0  | ReplicaSetUpdated        | False
        all ready    ‖ v1:2/2               | 2/2 2 2  | NewReplicaSetAvailable   | True
        v2 is broken ‖ v1:2/2               | 2/2 2 2  | NewReplicaSetAvailable   | True
        image v2     ‖ v1:2/2 v2:0/1        | 2/2 1 2  | ReplicaSetUpdated        | True
        30 seconds   ‖ v1:2/2 v2:0/1        | 2/2 1 2  | ReplicaSetUpdated        | True
        31 second    ‖ v1:2/2 v2:0/1        | 2/2 1 2  | ProgressDeadlineExceeded | True
        image v3     ‖ v1:2/2 v2:0/0 v3:0/1 | 2/2 1 2  | ReplicaSetUpdated        | True
        all ready    ‖ v1:0/0 v2:0/0 v3:2/2 | 2/2 2 2  | NewReplicaSetAvailable   | True
        """,
        Stage(deployment(2, progressDeadlineSeconds=60)),
    )


def test_pods_count_as_available_only_after_min_ready_seconds() -> None:
    told(
        """
        what happens ‖ sets          | replicas | progressing            | available
        create       ‖ v1:0/2        | 0/2 2 0  | ReplicaSetUpdated      | False
        all ready    ‖ v1:0/2        | 2/2 2 0  | ReplicaSetUpdated      | False
        9 seconds    ‖ v1:0/2        | 2/2 2 0  | ReplicaSetUpdated      | False
        1 second     ‖ v1:2/2        | 2/2 2 2  | NewReplicaSetAvailable | True
        image v2     ‖ v1:2/2 v2:0/1 | 2/2 1 2  | ReplicaSetUpdated      | True
        all ready    ‖ v1:2/2 v2:0/1 | 3/2 1 2  | ReplicaSetUpdated      | True
        10 seconds   ‖ v1:1/1 v2:1/2 | 2/2 2 2  | ReplicaSetUpdated      | True
        all ready    ‖ v1:1/1 v2:1/2 | 3/2 2 2  | ReplicaSetUpdated      | True
        10 seconds   ‖ v1:0/0 v2:2/2 | 2/2 2 2  | NewReplicaSetAvailable | True
        """,
        Stage(deployment(2, minReadySeconds=10)),
    )


def test_a_paused_deployment_scales_but_neither_creates_nor_moves() -> None:
    told(
        """
        what happens ‖ sets          | replicas | progressing            | available | says
        create       ‖               | 0/1 0 0  | DeploymentPaused       | False     |
        resume       ‖ v1:0/1        | 0/1 1 0  | ReplicaSetUpdated      | False     | v1 0→1
        all ready    ‖ v1:1/1        | 1/1 1 1  | NewReplicaSetAvailable | True      |
        pause        ‖ v1:1/1        | 1/1 1 1  | DeploymentPaused       | True      |
        image v2     ‖ v1:1/1        | 1/1 0 1  | DeploymentPaused       | True      |
        scale 2      ‖ v1:1/2        | 1/2 0 1  | DeploymentPaused       | False     | v1 1→2
        all ready    ‖ v1:2/2        | 2/2 0 2  | DeploymentPaused       | True      |
        resume       ‖ v1:2/2 v2:0/1 | 2/2 1 2  | ReplicaSetUpdated      | True      | v2 0→1
        all ready    ‖ v1:0/0 v2:2/2 | 2/2 2 2  | NewReplicaSetAvailable | True      | v1 2→1, v2 1→2, v1 1→0
        """,
        Stage(deployment(1, paused=True)),
    )


def test_history_beyond_the_limit_is_forgotten_once_a_rollout_is_complete() -> None:
    told(
        """
        what happens ‖ sets                 | revisions
        create       ‖ v1:0/1               | v1:1
        all ready    ‖ v1:1/1               | v1:1
        image v2     ‖ v1:1/1 v2:0/1        | v1:1 v2:2
        all ready    ‖ v1:0/0 v2:1/1        | v1:1 v2:2
        image v3     ‖ v1:0/0 v2:1/1 v3:0/1 | v1:1 v2:2 v3:3
        all ready    ‖ v2:0/0 v3:1/1        | v2:2 v3:3
        image v4     ‖ v2:0/0 v3:1/1 v4:0/1 | v2:2 v3:3 v4:4
        all ready    ‖ v3:0/0 v4:1/1        | v3:3 v4:4
        undo         ‖ v4:1/1 v3:0/1        | v4:4 v3:5
        all ready    ‖ v4:0/0 v3:1/1        | v4:4 v3:5
        """,
        Stage(deployment(1, revisionHistoryLimit=1)),
    )


def test_a_lost_pod_is_replaced_and_scaling_is_not_a_rollout() -> None:
    told(
        """
        what happens     ‖ sets   | replicas | progressing            | available | says
        create           ‖ v1:0/3 | 0/3 3 0  | ReplicaSetUpdated      | False     | v1 0→3
        all ready        ‖ v1:3/3 | 3/3 3 3  | NewReplicaSetAvailable | True      |
        a pod is deleted ‖ v1:2/3 | 2/3 3 2  | NewReplicaSetAvailable | False     |
        all ready        ‖ v1:3/3 | 3/3 3 3  | NewReplicaSetAvailable | True      |
        scale 5          ‖ v1:3/5 | 3/5 5 3  | NewReplicaSetAvailable | False     | v1 3→5
        all ready        ‖ v1:5/5 | 5/5 5 5  | NewReplicaSetAvailable | True      |
        scale 0          ‖ v1:0/0 | 0/0 0 0  | NewReplicaSetAvailable | True      | v1 5→0
        """,
        Stage(deployment(3)),
    )


def test_without_a_progress_deadline_there_is_no_progressing_condition() -> None:
    told(
        """
        what happens ‖ sets          | replicas | progressing | available
        create       ‖ v1:0/2        | 0/2 2 0  |             | False
        all ready    ‖ v1:2/2        | 2/2 2 2  |             | True
        image v2     ‖ v1:2/2 v2:0/1 | 2/2 1 2  |             | True
        all ready    ‖ v1:0/0 v2:2/2 | 2/2 2 2  |             | True
        """,
        Stage(deployment(2, progressDeadlineSeconds=2147483647)),
    )
