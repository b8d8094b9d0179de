"""HTTP at its edges, on raw sockets against a real process: framing, methods, limits, fields."""

import gzip
import re
import zlib
from threading import Event

import pytest

from tests.e2e.gateway import Row, Served, until
from tests.e2e.raw import MIB, Answers, body_for, code, exchange, head, post
from tests.e2e.upstream import END, Upstream, answers, chunk, completion, hello, whole


def test_expect_continue(gateway: Served, upstream: Upstream) -> None:
    """curl sends it with every larger body, and waits."""
    upstream.plays("edge-expect", answers(whole(completion())))
    body = body_for("up/edge-expect")
    with gateway.connect() as line:
        line.sendall(head(f"content-length: {len(body)}", "expect: 100-continue"))
        answers_of = Answers(line)
        assert answers_of.head()[0] == 100
        line.sendall(body)
        assert answers_of.whole()[0] == 200
    assert upstream.asked("edge-expect")[0].header("expect") is None


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_request(coding: str, gateway: Served, upstream: Upstream) -> None:
    model = upstream.plays(f"edge-{coding}", answers(whole(completion())))
    body = body_for(f"up/{model}", padding="a" * 100_000)
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    assert exchange(gateway, post(packed, f"content-encoding: {coding}"))[0] == 200
    (asked,) = upstream.asked(model)
    assert asked.json["padding"] == "a" * 100_000
    assert asked.header("content-encoding") is None


def test_a_compressed_bomb_is_too_large(gateway: Served) -> None:
    bomb = gzip.compress(b'{"model": "' + b"a" * (20 * MIB) + b'"}')
    assert len(bomb) < 100_000
    status, _, body = exchange(gateway, post(bomb, "content-encoding: gzip"))
    assert (status, code(body)) == (413, "request_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit(chunked: bool, gateway: Served, upstream: Upstream) -> None:
    body = body_for("up/edge-over", padding="a" * (MIB + 1))
    if chunked:
        raw = head("transfer-encoding: chunked") + chunk(body[: MIB // 2]) + chunk(body[MIB // 2 :]) + END
    else:
        raw = post(body)
    status, fields, said = exchange(gateway, raw)
    assert (status, code(said), fields["x-should-retry"]) == (413, "request_too_large", "false")
    assert upstream.asked("edge-over") == []


def test_a_body_at_the_limit_passes(gateway: Served, upstream: Upstream) -> None:
    upstream.plays("edge-full", answers(whole(completion())))
    frame = len(body_for("up/edge-full", padding=""))
    body = body_for("up/edge-full", padding="a" * (MIB - frame))
    assert len(body) == MIB
    assert exchange(gateway, post(body))[0] == 200


def test_a_chunked_request(gateway: Served, upstream: Upstream) -> None:
    upstream.plays("edge-chunked", answers(whole(completion())))
    body = body_for("up/edge-chunked")
    with gateway.connect() as line:
        line.sendall(head("transfer-encoding: chunked"))
        for at in range(0, len(body), 7):
            line.sendall(chunk(body[at : at + 7]))
        line.sendall(END)
        assert Answers(line).whole()[0] == 200
    (asked,) = upstream.asked("edge-chunked")
    assert (asked.header("content-length"), asked.header("transfer-encoding")) == (str(len(asked.body)), None)


def test_a_question_that_is_never_finished_costs_nothing(gateway: Served, upstream: Upstream) -> None:
    """The client leaves in the middle of its own question: a row, and nobody was asked."""
    with gateway.connect() as line:
        line.sendall(head("content-length: 500") + b'{"model": "up/edge-torn"')
        Event().wait(0.2)  # seconds; long enough for the head to be read

    def look() -> Row | None:
        return next((row for row in gateway.calls(end="cut_by_client") if row["model"] is None), None)

    row = until(look, "its row")
    assert (row["target"], row["cost_usd"]) == (None, "0.000000000")
    assert upstream.asked("edge-torn") == []


def test_many_requests_on_one_connection(gateway: Served, upstream: Upstream) -> None:
    """Kept alive, whole and streamed in turn, and refused ones between them."""
    upstream.plays("edge-kept", answers(whole(completion())))
    upstream.plays("edge-kept-stream", hello())
    with gateway.connect() as line:
        answers_of = Answers(line)
        for _ in range(5):
            line.sendall(post(body_for("up/edge-kept")))
            assert answers_of.whole()[0] == 200
            line.sendall(post(body_for("up/edge-kept-stream", stream=True)))
            assert answers_of.head()[0] == 200
            while answers_of.piece():
                pass
            line.sendall(post(b"no JSON"))
            assert answers_of.whole()[0] == 400


def test_pipelined_requests_are_answered_in_their_order(gateway: Served, upstream: Upstream) -> None:
    for number in range(4):
        upstream.plays(f"edge-line-{number}", answers(whole(completion(f"answer {number}"))))
    with gateway.connect() as line:
        line.sendall(b"".join(post(body_for(f"up/edge-line-{number}")) for number in range(4)))
        answers_of = Answers(line)
        for number in range(4):
            assert f"answer {number}".encode() in answers_of.whole()[2]


# methods, paths, fields


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method(method: str, path: str, gateway: Served) -> None:
    with gateway.connect() as line:
        line.sendall(head("content-length: 0", method=method, path=f"/v1/{path}"))
        status, fields = Answers(line).head()
    assert status == 405
    assert fields["allow"] == "POST"
    assert fields["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/v1/nothing", 404, "unknown_url"),
        ("/v1", 404, "unknown_url"),
        ("/v1/chat/completions/", 404, "unknown_url"),
        ("/v1/chat/completions/../../admin/keys", 404, "unknown_url"),
        ("/v1/images/generations", 404, "unknown_url"),
        ("/v1/audio/speech", 404, "unknown_url"),
        ("/v1/responses", 501, "not_in_this_version"),
        ("/v1/responses/r1/cancel", 501, "not_in_this_version"),
        ("/v1/messages", 501, "not_in_this_version"),
        ("/v1/messages/count_tokens", 501, "not_in_this_version"),
        ("/v1/files", 501, "not_in_this_version"),
        ("/v1/batches/b1", 501, "not_in_this_version"),
    ],
)
def test_a_path_that_is_not_served_is_never_forwarded(
    path: str, status: int, expected: str, gateway: Served, upstream: Upstream
) -> None:
    before = len([one for one in upstream.requests if one.method == "POST"])
    raw = post(body_for("up/edge-path")).replace(b"/v1/chat/completions", path.encode(), 1)
    found, _, body = exchange(gateway, raw)
    assert (found, code(body)) == (status, expected)
    assert len([one for one in upstream.requests if one.method == "POST"]) == before


def test_hop_by_hop_fields_stay_on_their_line(gateway: Served, upstream: Upstream) -> None:
    """RFC 9110 §7.6.1, both ways, with those that `Connection` names."""
    theirs = "connection: keep-alive, x-theirs\r\nx-theirs: 1\r\nkeep-alive: timeout=9\r\nset-cookie: a=b\r\n"
    theirs += "server: theirs\r\nx-kept: yes\r\nalt-svc: h3\r\nstrict-transport-security: max-age=1\r\n"
    upstream.plays("edge-hop", answers(whole(completion(), fields=theirs)))
    ours = ["connection: keep-alive, x-ours", "x-ours: 1", "te: trailers", "cookie: session=1", "upgrade: h2c"]
    ours += ["proxy-authorization: Basic eA==", "referer: https://a.example", "x-kept: yes"]
    status, fields, _ = exchange(gateway, post(body_for("up/edge-hop"), *ours))
    assert status == 200
    assert fields["x-kept"] == "yes"
    assert not {"x-theirs", "keep-alive", "set-cookie", "server", "alt-svc", "strict-transport-security"} & set(fields)
    (asked,) = upstream.asked("edge-hop")
    names = {name for name, _ in asked.fields}
    assert asked.header("x-kept") == "yes"
    assert not {"x-ours", "te", "cookie", "upgrade", "proxy-authorization", "referer"} & names
    assert asked.header("host") == f"127.0.0.1:{upstream.port}"


def test_request_ids(gateway: Served, upstream: Upstream) -> None:
    """Ours to the client, the upstream's beside it; one that the client makes up is not taken over."""
    upstream.plays("edge-ids", answers(whole(completion(), fields="x-request-id: theirs-1\r\n")))
    _, fields, _ = exchange(gateway, post(body_for("up/edge-ids"), "x-request-id: made-up"))
    assert re.fullmatch(r"[0-9a-f-]{36}", fields["x-request-id"])
    assert fields["x-request-id"] == fields["x-tollkeeper-call-id"]
    assert fields["x-upstream-request-id"] == "theirs-1"
    assert gateway.row(model="up/edge-ids")["id"] == fields["x-request-id"]


def test_a_made_up_field_of_ours_never_reaches_the_client(gateway: Served, upstream: Upstream) -> None:
    upstream.plays("edge-forged", answers(whole(completion(), fields="x-tollkeeper-cost-usd: 0.000000001\r\n")))
    _, fields, _ = exchange(gateway, post(body_for("up/edge-forged")))
    assert fields["x-tollkeeper-cost-usd"] == "0.003000000"
