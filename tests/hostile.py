"""Two hundred texts that would be executed or obeyed if they were not escaped."""

from itertools import product

SCRIPT = "window.owned=1;document.title='owned'"

_MARKUP = (
    "<script>{}</script>",
    "</script><script>{}</script>",
    "<ScRiPt>{}</sCrIpT>",
    "<script/x>{}</script>",
    "<scr<script>ipt>{}</scr</script>ipt>",
    "<img src=x onerror={}>",
    '<img src=x onerror="{}">',
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<math><mtext><script>{}</script></mtext></math>",
    "<body onload={}>",
    "<iframe srcdoc='<script>{}</script>'></iframe>",
    '<iframe src="javascript:{}"></iframe>',
    '<object data="javascript:{}"></object>',
    '<a href="javascript:{}">click</a>',
    '<form action="javascript:{}"><input type=submit></form>',
    "<details open ontoggle={}>",
    "<input autofocus onfocus={}>",
    "<video><source onerror={}></video>",
    "<style>@import 'javascript:{}';</style>",
    '<link rel=stylesheet href="data:text/css,{}">',
    '<base href="javascript:{}//">',
    '<meta http-equiv=refresh content="0;url=javascript:{}">',
    "<template><script>{}</script></template>",
    '<noscript><p title="</noscript><script>{}</script>">',
    "<textarea></textarea><script>{}</script>",
    "<!--><script>{}</script>-->",
    "<![CDATA[<script>{}</script>]]>",
    "<?xml version='1.0'?><script>{}</script>",
    "<marquee onstart={}>",
    '<div hx-get=/jobs hx-trigger=load hx-on::load="{}">',
    "<div hx-ext=sse sse-connect=/stream hx-swap-oob=true>{}</div>",
)
_AROUND = ("{}", '">{}', "'>{}", "</code></pre></title>{}", "--></textarea></style>{}")

_ATTRIBUTES = (
    '" onmouseover="{}" x="',
    "' onmouseover='{}' x='",
    "` onmouseover=`{}` x=`",
    " onmouseover={} ",
    "javascript:{}",
    "&#60;script&#62;{}&#60;/script&#62;",
    "&lt;script&gt;{}&lt;/script&gt;",
    "\\u003cscript\\u003e{}\\u003c/script\\u003e",
    "%3Cscript%3E{}%3C/script%3E",
    "+ADw-script+AD4-{}+ADw-/script+AD4-",
)
_TEMPLATES = (
    "{{7*7}}",
    "{% raw %}{{ config }}{% endraw %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "[[7*7]]",
    "{{constructor.constructor('window.owned=1')()}}",
    "%(x)s %s %d {0} {x!r}",
    "[red]x[/nope] :boom: [link=javascript:1]x[/link]",
    "[bold][/][/][",
)

_ESCAPES = (
    "\x1b[2J\x1b[H",
    "\x1b[?1049h",
    "\x1b[?25l",
    "\x1b[3;10r",
    "\x1b[999C",
    "\x1b[10A\x1b[2K",
    "\x1b[6n",
    "\x1b[c",
    "\x1b[>0q",
    "\x1b[21t",
    "\x1b[8m",
    "\x1b[?5h\x1b[?7l",
    "\x1b[4h",
    "\x1b[20h",
    "\x1b]0;owned\x07",
    "\x1b]2;owned\x1b\\",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1b]8;;javascript:window.owned=1\x07click\x1b]8;;\x07",
    "\x1b]4;1;#ffffff\x07",
    "\x1b]1337;File=inline=1:AAAA\x07",
    "\x1bP$qm\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b_Gf=100;AAAA\x1b\\",
    "\x1b^owned\x1b\\",
    "\x1bXowned\x1b\\",
    "\x1bc",
    "\x1b#8",
    "\x1b(0",
    "\x1b%G",
    "\x1b7\x1b[H\x1b8",
    "\x1b=",
    "\x1bM\x1bM\x1bM",
    "\x1b",
    "\x1b[",
    "\x1b]",
    "\x1b[31",
    "\x1b[38;5;196;48;2;1;2;3",
    "\x9b2J",
    "\x9d0;owned\x9c",
    "\x90q\x9c",
    "\x84\x85\x8d\x8e\x8f",
    "\x0e\x0f",
    "\x05",
    "\a\a\a",
    "\b\b\b\b\b\b\b\b",
    "\r",
    "\r\n\r\n",
    "\v\f",
    "\t\t\t",
    "\x7f\x7f",
    "\x11\x13",
    "\x16\x17\x18\x1a\x1c",
)

_UNICODE = (
    "\u202egpj.exe",
    "\u202a\u202b\u202c\u202d\u202e",
    "\u2066\u2067\u2068\u2069",
    "\u200e\u200f\u061c",
    "\u2028\u2029",
    "\u200b\u2060\ufeff",
    "\ufff9a\ufffab\ufffb",
    "".join(map(chr, range(0xE0041, 0xE0060))),
    "e" + "\u0301" * 60,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\ufe0f\ufe0e",
    "\u1160\u3164\uffa0",
    "\u0000fix".replace("\u0000", "\u2400"),
    "\ue000\uf8ff\ufdd0\uffff",
    "\U0010ffff",
    "ﷺ" * 30,
    "\u0430dmin@\u0440aypal.com",
)

_LONG = (
    "A" * 5_000,
    "<" * 3_000,
    "&" * 3_000,
    "\x1b[1m" * 500,
    "\u202e" * 500,
    "x " * 3_000,
    "-" * 3_000,
    "%" * 3_000,
    "'; DROP TABLE events; --",
    "../../../../etc/passwd",
    "|| calc.exe",
    "=cmd|' /C calc'!A0",
)


def texts(number: int = 200) -> list[str]:
    """Return `number` different texts: all kinds first, then markup in different contexts."""
    filled = [text.format(SCRIPT) for text in (*_MARKUP, *_ATTRIBUTES)]
    kinds = [*filled, *_TEMPLATES, *_LONG]
    kinds += [f"a{text}b" for text in (*_UNICODE, *_ESCAPES)]
    around = (outer.format(inner.format(SCRIPT)) for outer, inner in product(_AROUND, _MARKUP))
    distinct = list(dict.fromkeys([*kinds, *around]))
    assert len(distinct) >= number
    return distinct[:number]
