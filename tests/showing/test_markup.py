"""HTML made by function calls: text and attributes are escaped, HTML is not escaped twice."""

from mhpmodels.showing.markup import element, joined, table


def test_text_and_attributes_are_escaped():
    assert element("p", "a < b & c", title='"<') == '<p title="&quot;&lt;">a &lt; b &amp; c</p>'


def test_elements_inside_are_taken_as_they_are():
    assert element("p", element("b", "<"), ">") == "<p><b>&lt;</b>&gt;</p>"
    assert joined("&", element("i", "x")) == "&amp;<i>x</i>"


def test_void_elements_have_no_end_and_names_no_underscore():
    assert element("img", src="a.png", name="x", class_="y") == '<img src="a.png" name="x" class="y">'


def test_a_table_escapes_its_cells():
    text = table(["split", "<"], [["<b>", "1"]])
    assert '<th scope="row">&lt;b&gt;</th><td>1</td>' in text and '<th scope="col">&lt;</th>' in text
