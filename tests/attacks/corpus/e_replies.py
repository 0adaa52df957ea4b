"""Forged replies: what this course's judge hears comes from a process that the student rules.

None of it applies to stock nbgrader, whose checks run in the student's own process.
"""

from tests.attacks import Attack, Gain

NO_REPLIES = "does not apply: there are no replies to forge"

# The reply to each request is the next of `replies`, a list of texts or of functions that make one.
FORGE = '''\
import itertools

turn = itertools.count()
kernel = get_ipython().kernel


def answer(stream, sender, message):
    reply = replies[next(turn) % len(replies)]
    content = {"reply": reply() if callable(reply) else reply}
    kernel.session.send(stream, "judge_reply", content, parent=message, ident=sender)


kernel.shell_handlers["judge_request"] = answer


def value(form):
    return '["dict",[["value",' + form + '],["mutated",["list",[]]]]]'


def fault(message):
    return ('["dict",[["fault",["dict",[["kind","value"],["message",' + message +
            '],["detail",""]]]]]]')


'''

# Messages of Jupyter's protocol, signed with the kernel's own key, with any content.
RAW = '''\
import json
import uuid

from jupyter_client.session import DELIM

kernel = get_ipython().kernel
session = kernel.session


def send(socket, kind, content, parent=None, ident=(), header=None):
    """All but kind may be any bytes that JSON or something else makes."""
    if header is None:
        header = json.dumps({"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "s",
                             "username": "u", "date": "2026-01-01T00:00:00Z", "version": "5.3"})
    if parent is None:
        parent = json.dumps(kernel.get_parent()["header"], default=str)
    parts = [part if isinstance(part, bytes) else part.encode()
             for part in (header, parent, "{}", content)]
    socket.send_multipart([*ident, DELIM, session.sign(parts), *parts])


def on_iopub(kind, content, **more):
    send(kernel.iopub_socket, kind, content, ident=[b"kernel." + kind.encode()[:20]], **more)


'''


def forged(name: str, gain: Gain, what: str, replies: str) -> Attack:
    return Attack(name, gain, what, before=FORGE + f"replies = {replies}\n", stock=NO_REPLIES)


ATTACKS = [
    forged("forged_scores", "marks", "The replies say that full marks were reached.", '''[
    '["dict",[["value",true],["mutated",["list",[]]],["score",7.0],["status","passed"]]]',
    '["dict",[["score",2.0],["points",2.0],["fault",null],["value",1.0],["mutated",["list",[]]]]]',
    '["dict",[["fault",["dict",[["kind","passed"],["message",""],["detail",""]]]]]]',
    '["dict",[["value",["dict",[["passed",true]]]],["mutated",["list",[]]]]]',
]'''),
    forged("forged_handles", "marks",
           "The replies are handles to objects that were never handed out.", '''[
    value('["handle",0,"ndarray"]'), value('["handle",-1,"float"]'),
    value('["handle",99999999999999999999,"x"]'), value('["handle","0","__class__"]'),
    value('["list",[["handle",0,"a"],["handle",0,"b"]]]'),
]'''),
    forged("forged_types", "escape",
           "The replies name pickles, object arrays, modules and dunder methods.", '''[
    value('["array","object",[2],"QEAAAAAAAAAAQAAAAAAAAA=="]'),
    value('["__init__",["list",[]]]'), value('["pickle","Y29zCnN5c3RlbQou"]'),
    value('["scalar","O","QEAAAAAAAAA="]'), value('["tensor","qint8",[1],"AA=="]'),
    value('["array","<V8",[1],"QEAAAAAAAAA="]'), value('["tensor","float32",["a"],"AAAAAA=="]'),
]'''),
    forged("forged_shapes", "denial", "The replies' arrays declare sizes that they do not have.",
           '''[
    value('["array","float64",[4611686018427387904,4],""]'),
    value('["array","float64",[-1,-8],"AAAAAAAAAAA="]'),
    value('["array","float64",[0,4611686018427387904,8],""]'),
    value('["array","float64",[true,true],"AAAAAAAAAAA="]'),
    value('["tensor","float32",[0,9223372036854775807],""]'),
    value('["array","float64",' + "[" * 500 + "]" * 500 + ',""]'),
]'''),
    forged("forged_numbers", "marks", "The replies are NaN, infinite, or numbers of no type.", '''[
    value('1e999'), value('NaN'), value('["float","nan"]'), value('["scalar","float64","AAAA"]'),
    value('-0.0'), value('["int","' + "f" * 100000 + '"]'), value('["float","1.0"]'),
    value('9' * 5000), value('["int","0x_1"]'), value('["scalar","bool","AQ=="]'),
]'''),
    forged("forged_text", "denial", "The replies are no ASCII, no JSON, half characters, empty.",
           '''[
    "\\u0661", "", "null", '"text"', "[]", '["dict"]', value('"\\\\ud800"'), "\\x00", "{" * 9,
    fault('"\\\\ud800"'), fault('["list",[]]'),
]'''),
    forged("forged_html", "browser", "Messages, names and types are HTML with scripts.", '''[
    fault('"<img src=x onerror=owned()>"'), value('["handle",0,"<script>owned()</script>"]'),
]'''),
    forged("deep_reply", "denial", "The replies are nested a million deep.", '''[
    "[" * 1_000_000, value('["list",[' * 50_000 + "]]" * 50_000),
    value('{"a":' * 100_000 + "1" + "}" * 100_000), value('["tuple",[' * 30 + "]]" * 30),
]'''),
    forged("giant_reply", "denial", "Replies of 60 to 100 MB, of nothing but small parts.", '''[
    lambda: value('["list",[' + "1," * 30_000_000 + "1]]"),
    lambda: value('"' + "x" * 100_000_000 + '"'),
    lambda: fault('"' + "x" * 20_000_000 + '"'),
    lambda: value('["list",[' + "[]," * 15_000_000 + "1]]"),
]'''),
    forged("colliding_keys", "denial",
           "The replies are dictionaries whose keys all have the same hash.", '''[
    lambda: value('["dict",[' + ",".join(
        f'[["int","{i * (2**61 - 1):x}"],0]' for i in range(1, 1_000_000)) + "]]"),
    lambda: value('["dict",[' + ",".join(
        '[["tuple",[' + ",".join("-1" if i >> k & 1 else "-2" for k in range(18)) + "]],0]"
        for i in range(2**18)) + "]]"),
]'''),
    forged("endless_fault", "denial", "A message of 20 MB for every exercise's feedback.",
           '''[lambda: fault('"' + "<b>passed</b> " * 1_500_000 + '"')]'''),
    Attack("runner_answer", "marks", "The runner's answer gives back what it was asked with.",
           before='''\
import grading.answer.codec
import grading.answer.runner


def answer(self, request):
    asked = grading.answer.codec.decode(request)
    given = asked.get("args") or [None]
    return grading.answer.codec.encode({"value": given[0], "mutated": [], "expected": given[0]})


grading.answer.runner.Runner.answer = answer
''', stock=NO_REPLIES),
    Attack("carrier_replaced", "marks", "What the kernel sends its messages with is replaced.",
           before='''\
forged = '["dict",[["value",["float","nan"]],["mutated",["list",[]]]]]'
session = get_ipython().kernel.session
true_send = session.send


def send(stream, kind, content=None, **more):
    if kind == "judge_reply":
        content = {"reply": forged, "score": 7.0, "status": "passed"}
    return true_send(stream, kind, content, **more)


session.send = send
''', stock=NO_REPLIES),
    Attack("strange_messages", "denial", "What carries the replies is of every wrong type.",
           before='''\
import itertools

contents = itertools.cycle([
    None, [], {}, {"reply": None}, {"reply": []}, {"reply": {"data": None}}, "reply",
    {"reply": 7}, {"reply": ["a"]}, [{"reply": "[]"}],
])
kernel = get_ipython().kernel


def answer(stream, sender, message):
    kernel.session.send(stream, "judge_reply", next(contents), parent=message, ident=sender)


kernel.shell_handlers["judge_request"] = answer
''', stock=NO_REPLIES),
    Attack("no_reply", "denial", "Requests are taken, and never replied to.",
           before='''\
get_ipython().kernel.shell_handlers["judge_request"] = lambda *message: None
''', stock=NO_REPLIES),
    Attack("probe_hijacked", "marks",
           "The builtins that run the course's probes run something else.",
           before='''\
import builtins

true_exec = builtins.exec


def false_exec(code, names=None, *more):
    if names is not None and getattr(code, "co_filename", "") == "<probe>":
        names["means"] = lambda learner, values: [1.0] * len(values)
        return None
    return true_exec(code, names, *more)


builtins.exec = false_exec
''', stock=NO_REPLIES),
    Attack("early_replies", "marks",
           "Replies to requests that are yet to come, under their foreseeable numbers.",
           before=RAW + '''
def ahead(count):
    """Send replies to the next requests before they are made."""
    parent = kernel.get_parent()
    own, number = parent["header"]["msg_id"].rsplit("_", 1)
    reply = {"reply": '["dict",[["value",true],["mutated",["list",[]]],["score",7]]]'}
    for later in range(int(number) + 1, int(number) + count):
        header = json.dumps({**parent["header"], "msg_id": f"{own}_{later}"}, default=str)
        send(kernel.shell_stream, "judge_reply", json.dumps(reply), parent=header,
             ident=kernel._parent_ident["shell"])
        on_iopub("status", '{"execution_state":"idle"}', parent=header)


ahead(40)
''', stock=NO_REPLIES),
    Attack("protocol_garbage", "denial",
           "Signed messages of Jupyter's protocol whose parts are of every wrong type.",
           before=RAW + '''
def garbage():
    for content in ("[]", "null", "7", '"text"', "{", "", b"\\xff\\xfe", '{"execution_state":[]}',
                    '{"execution_state":{}}', '{"name":[],"text":{}}', '{"text":null}',
                    '{"data":[],"metadata":7}', '{"data":{"text/plain":{"a":1}}}',
                    '{"ename":[],"evalue":{},"traceback":{"a":1}}', '{"traceback":[1,[]]}',
                    '{"text":"\\\\ud800","name":"\\\\ud800"}', '{"evalue":"\\\\ud800"}',
                    "[" * 100_000):
        for kind in ("stream", "display_data", "execute_result", "error", "status", "comm_open",
                     "input_request", "shutdown_reply", "judge_reply", "clear_output"):
            on_iopub(kind, content)
    for parent in ("[]", "null", "7", '{"msg_id":[]}', '{"msg_id":{}}', "{", '"text"'):
        on_iopub("stream", '{"name":"stdout","text":"x"}', parent=parent)
        on_iopub("status", '{"execution_state":"idle"}', parent=parent)
    for header in ("[]", "{}", "null", '{"msg_id":[],"msg_type":[]}', '{"msg_id":1,"msg_type":{}}',
                   '{"msg_id":"a","msg_type":"status","date":"9999-99-99T99:99:99Z"}',
                   '{"msg_id":"a","msg_type":"status","version":[]}'):
        on_iopub("x", "{}", header=header)
    for frames in ([b""], [DELIM], [b"a", DELIM], [b"", DELIM, b"", b"", b"", b"", b""]):
        kernel.iopub_socket.send_multipart(frames)


garbage()
''', answers={"center": "def center(x):\n    garbage()\n    return 0 * x\n"}, stock=NO_REPLIES),
    Attack("half_a_character", "denial", "Output with half a character, which UTF-8 cannot hold.",
           before=RAW + '''
on_iopub("stream", '{"name":"stdout","text":"\\\\ud800"}')
on_iopub("error", '{"ename":"\\\\udfff","evalue":"\\\\ud800","traceback":["\\\\ud800"]}')
on_iopub("display_data", '{"data":{"text/plain":"\\\\ud800"},"metadata":{}}')
raise ValueError("\\ud800")
''', answers={"center": "def center(x):\n    raise ValueError('\\ud800')\n"}, stock=NO_REPLIES),
    Attack("closed_sockets", "denial", "The kernel's sockets are closed, one after the other.",
           before='''\
kernel = get_ipython().kernel
''', answers={
               "center": "def center(x):\n    kernel.shell_stream.close()\n    return 0 * x\n",
               "slope": "def slope(x, y):\n    kernel.session.key = b'another'\n    return 0.0\n",
           }, stock=NO_REPLIES),
    Attack("flood_between_requests", "denial",
           "A thread sends output that belongs to no request, as fast as it can, for good.",
           before=RAW + '''
import threading

other = json.dumps({"msg_id": "of-nobody", "msg_type": "execute_request"})
text = json.dumps({"name": "stdout", "text": "x" * 1_000_000})


def flood():
    while True:
        on_iopub("stream", text, parent=other)


threading.Thread(target=flood, daemon=True).start()
''', stock=NO_REPLIES),
]
