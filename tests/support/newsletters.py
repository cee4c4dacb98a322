"""HTML as newsletters have it: tables, comments for Outlook, sheets with media queries, conditions around rows."""

from typing import Final

STYLED: Final = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:o="urn:schemas-microsoft-com:office:office">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<title>Weekly news</title>
<!--[if mso]><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml>
<style>.wide { width: 600px }</style><![endif]-->
<style type="text/css">
  body { margin: 0; font-family: "Open Sans", Arial, sans-serif }
  .wide { width: 600px; color: #333333 }
  .button { background: #0b57d0; color: #ffffff !important; padding: 12px 24px }
  .button:hover { background: #0842a0 }
  td.price, .total td { text-align: right }
  @media only screen and (max-width: 620px) {
    .wide { width: 100% !important }
    .button { display: block; padding: 16px }
  }
</style>
</head>
<body>
<!-- a preview text of the template's own -->
<div style="display:none;max-height:0;overflow:hidden">Shoes from 49 &euro;&#847;&zwnj;&nbsp;</div>
<!--[if mso]><table width="600"><tr><td><![endif]-->
<table class="wide" role="presentation" align="center" style="border-collapse:collapse">
  <tr><td><img src="https://shop.example.com/logo.png" alt="Shop &amp; Co" width="120"></td></tr>
  <tr><td><h1>Hello {{ name|default("friend") }}</h1>
    <p>Three pairs &mdash; <b>only</b> today,
       in {{ city }}.</p></td></tr>
  {% if points %}<tr class="total"><td>You have {{ points }} points.</td></tr>{% endif %}
  <tr><td>
    <table><tr><th>Pair</th><th>Price</th></tr>
      <tr><td>Boots</td><td class="price">49.00&nbsp;&euro;</td></tr>
      <tr><td>Sandals</td><td class="price">29.00&nbsp;&euro;</td></tr></table>
  </td></tr>
  <tr><td><a class="button" href="https://shop.example.com/?a=1&amp;b={{ name|urlencode }}">To the shop</a></td></tr>
  <tr><td style="font-size:12px"><a href="{{ unsubscribe_url }}">Unsubscribe</a></td></tr>
</table>
<!--[if mso]></td></tr></table><![endif]-->
</body>
</html>
"""

TEXT_OF_STYLED: Final = """Shop & Co

Hello {{ name|default("friend") }}

Three pairs — only today, in {{ city }}.

{% if points %}You have {{ points }} points.
{% endif %}
Pair Price
Boots 49.00 €
Sandals 29.00 €

To the shop (https://shop.example.com/?a=1&b={{ name|urlencode }})
Unsubscribe ({{ unsubscribe_url }})"""

RIGHT_TO_LEFT: Final = (
    '<html dir="rtl" lang="he"><body><h2>שלום {{ name }}</h2><ol><li>ראשון</li><li>שני'
    "<ul><li>בתוך</li></ul></li></ol><p>‏מחיר: 30&nbsp;₪</p></body></html>"
)
BROKEN: Final = (
    "<table><tr><td>One<td>Two<tr><td><b>Three</td></table><p>Four<p>Five</b> & six < seven <a href=https://x.org/a>x"
)
#: Each one is a template as somebody writes them.
ALL: Final = {
    "styled": STYLED,
    "rtl": RIGHT_TO_LEFT,
    "broken": BROKEN,
    "rows": "<style>td{color:red}</style><table>"
    "{% if a %}<tr><td>A</td></tr>{% else %}<tr><td>B</td></tr>{% endif %}</table>",
    "torn": "<style>.x{color:red}</style>{% if a %}<div class='x'>{% else %}<div>{% endif %}A</div>",
    "classes": '<style>.x{color:red}</style><p class="{% if a %}x{% endif %}">A</p>',
    "in_tag": '<style>p{color:red}</style><p {% if a %}dir="rtl"{% endif %}>A</p>',
    "own_style": "<style>p{color:red}</style><p style='color:{{ a|default(\"blue\") }}'>A</p>",
    "in_sheet": "<style>p{color:{{ a }}}</style><p>A</p>",
    "in_comment": "<!--{% if a %}-->A<!--{% else %}-->B<!--{% endif %}-->",
    "downlevel": "<style>p{margin:0}</style>"
    "<![if !mso]><p>{{ a }}</p><![endif]><!--[if !mso]><!--><p>B</p><!--<![endif]-->",
    "raw": "<style>p{margin:0}</style><p>{% raw %}{{ x }} {% if %}{% endraw %}</p>",
    "control": "<p>A {%- if a -%} B {%- endif -%} C</p>",
    "braces": "<p>{<b>{ a }}</b> and &#123;&#123; b }} and { {{ a }} }</p>",
    "links": "{% if a %}<a href='https://x.org/{{ a }}'>{% else %}<a href='https://y.org'>{% endif %}Go</a>",
    "href": '<a href="{% if a %}https://x.org{% else %}https://y.org{% endif %}"><img src="b.png"></a>',
    "gt": '<style>p > b{color:red}</style><p>{% if a > 1 and b < 2 %}<b>{{ "<b>"|e }}</b>{% endif %}</p>',
}
