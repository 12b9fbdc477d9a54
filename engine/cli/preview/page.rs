//! Every channel and language of a template on one page.

use std::fmt::Write;

use super::Sight;

const STYLE: &str = "body{margin:0;padding:24px;background:#eceff1;color:#1f2933;\
    font:15px/1.5 system-ui,sans-serif}\
    h2{margin:32px 0 12px;font-size:16px}\
    .row{display:flex;flex-wrap:wrap;gap:20px;align-items:flex-start}\
    .card{background:#fff;border-radius:8px;box-shadow:0 1px 3px #0003;overflow:hidden;width:420px}\
    .mail{width:680px}\
    .card header{padding:10px 16px;border-bottom:1px solid #e4e7eb}\
    .card header b{display:block}\
    .tag{float:right;color:#616e7c}\
    dl{margin:0;padding:8px 16px;color:#616e7c;font-size:13px}\
    dt{float:left;clear:left;margin-right:8px;font-weight:bold}\
    iframe{display:block;border:0;width:100%;height:560px;background:#fff}\
    pre{margin:0;padding:12px 16px;white-space:pre-wrap;overflow-wrap:anywhere;\
    font:13px/1.5 ui-monospace,monospace}\
    details{border-top:1px solid #e4e7eb}summary{padding:8px 16px;cursor:pointer}";

/// The page stands alone: nothing is loaded but a mail's own pictures, and no mail runs a script.
pub(super) fn page(template: &str, sights: &[Sight]) -> String {
    let name = escaped(template);
    let mut page = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src https: data:; frame-src 'self'\">\n\
         <title>{name}</title><style>{STYLE}</style></head><body><h1>{name}</h1>\n"
    );
    let mut channel = None;
    for sight in sights {
        if channel != Some(&sight.channel) {
            let end = if channel.is_some() { "</div>\n" } else { "" };
            // A `String` takes whatever is written.
            let _ =
                write!(page, "{end}<h2>{}</h2>\n<div class=\"row\">\n", escaped(&sight.channel));
            channel = Some(&sight.channel);
        }
        card(&mut page, sight);
    }
    page.push_str("</div></body></html>\n");
    page
}

fn card(page: &mut String, sight: &Sight) {
    let content = &sight.content;
    let html = content.kind == "html";
    let class = if html { "card mail" } else { "card" };
    let locale = escaped(sight.locale.as_deref().unwrap_or("default"));
    let subject = escaped(content.subject.as_deref().unwrap_or("(no subject)"));
    let _ = write!(
        page,
        "<article class=\"{class}\"><header><span class=\"tag\">{locale}</span>\
         <b>{subject}</b></header>"
    );
    let parts = content.parts.iter().filter(|(name, _)| *name != "text");
    let parts = parts.map(|(name, value)| (name, value.clone()));
    let metadata = content.metadata.iter();
    let metadata = metadata.map(|(name, value)| (name, value.as_str().unwrap_or("…").to_owned()));
    let fields: String = parts
        .chain(metadata)
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&value)))
        .collect();
    if !fields.is_empty() {
        let _ = write!(page, "<dl>{fields}</dl>");
    }
    let body = escaped(&content.body);
    let _ = match html {
        true => write!(page, "<iframe sandbox srcdoc=\"{body}\"></iframe>"),
        false => write!(page, "<pre>{body}</pre>"),
    };
    if let Some(text) = content.parts.get("text") {
        let text = escaped(text);
        let _ = write!(page, "<details><summary>text part</summary><pre>{text}</pre></details>");
    }
    page.push_str("</article>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Content;

    #[test]
    fn nothing_of_a_message_becomes_a_part_of_the_page() {
        let hostile = "\"></iframe><script>alert(1)</script>".to_owned();
        let content = Content {
            kind: "html",
            subject: Some(hostile.clone()),
            body: hostile.clone(),
            parts: [
                ("text".to_owned(), hostile.clone()),
                ("preheader".to_owned(), hostile.clone()),
            ]
            .into(),
            metadata: [("url".to_owned(), hostile.clone().into())].into_iter().collect(),
        };
        let sight = Sight { channel: hostile.clone(), locale: Some(hostile.clone()), content };
        let page = page(&hostile, &[sight]);
        assert!(!page.contains("<script") && page.matches("</iframe>").count() == 1, "{page}");
        assert!(page.contains("<iframe sandbox srcdoc="));
    }
}
