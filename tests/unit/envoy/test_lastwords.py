"""What is kept of an Envoy's log when it ends, as Envoy 1.40 wrote it."""

from __future__ import annotations

from graylane.cluster.envoy.lastwords import LastWords

CRASH = b"""\
[2026-11-27 02:44:32.027][7211][warning][config] [source/x.cc:1] something of before
[2026-11-27 02:44:32.027][7211][critical][backtrace] [./source/server/backtrace.h:173] Caught Segmentation fault, suspect faulting address 0x0
[2026-11-27 02:44:32.036][7211][critical][backtrace] [./source/server/backtrace.h:167] #0: [0x7f957057c050]
ActiveStream 0x31d3bf62bc00, stream_id_: 12462499766929948202&filter_manager_:
  filter_manager_callbacks_.requestHeaders():
    ':authority', '127.0.0.1:31706'
    ':path', '/'
    ':method', 'GET'
    'user-agent', 'Python/3.11'
  &streamInfo():
    OverridableRemoteConnectionInfoSetterStreamInfo 0x31, remoteAddress(): 127.0.0.1:34328, directRemoteAddress(): 127.0.0.1:34328, localAddress(): 127.0.0.1:31706
"""  # noqa: E501


def test_why_it_ended_and_the_request_at_hand_are_kept_however_they_are_cut() -> None:
    for size in (1, 7, 10_000):
        words = LastWords()
        for start in range(0, len(CRASH), size):
            words.feed(CRASH[start : start + size])
        assert words.text.splitlines() == [
            "Caught Segmentation fault, suspect faulting address 0x0",
            "':authority', '127.0.0.1:31706'",
            "':path', '/'",
            "':method', 'GET'",
            "localAddress(): 127.0.0.1:31706",
        ]


def test_an_envoy_that_was_killed_says_nothing_and_a_log_costs_no_memory() -> None:
    words = LastWords()
    for _ in range(1000):
        words.feed(b"[2026][1][warning][config] [source/x.cc:1] ':path', '/' localAddress(): 1.2.3.4:5\n")
    assert words.text == ""
    for _ in range(1000):
        words.feed(b"[2026][1][critical][assert] [source/x.cc:1] assert failure: x\n':path', '/%d'\n" % _)
    assert len(words.text.splitlines()) == 8
