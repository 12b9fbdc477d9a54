use super::language;
use std::ops::Range;

use super::reader::Reader;
use crate::diagnostic::{Diagnostic, Document, Kind, Source};
use crate::model::Category;

/// A notification type that a pack declares in its `types.yaml`.
#[derive(Clone, Debug)]
pub struct NotificationType {
    pub name: Category,
    /// A law-like opt-out binds even critical messages of this type.
    pub marketing: bool,
    /// A folder under `templates/`: of several that were put off and become one message.
    pub batch_template: Option<String>,
    /// Where that stands, for what is checked across files.
    pub batch_template_place: Option<(Source, Range<usize>)>,
}

/// Reads a `types.yaml`: a list, alone or under `types:`, each a name or `{name, marketing,
/// batch_template}`.
pub fn read_types(source: &Source) -> (Vec<NotificationType>, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return (Vec::new(), problems);
    };
    let reader = Reader::new(source);
    let mut types = Vec::new();
    let root = document.root.get("types").unwrap_or(&document.root);
    for item in reader.items(root, "types.yaml") {
        let mut batch = None;
        let (name, marketing) = match &item.kind {
            Kind::Map(_) => {
                let Some(mut fields) = reader.fields(item, &language::TYPE) else {
                    continue;
                };
                let name = fields.need("name").and_then(|node| reader.text(node, "name"));
                let marketing = fields.flag("marketing");
                batch = fields.take("batch_template");
                fields.finish();
                (name, marketing)
            }
            _ => (reader.text(item, "a type"), false),
        };
        if let Some(name) = name {
            let batch = batch.and_then(|node| {
                let template = reader.text(node, "batch_template")?;
                Some((template, (source.clone(), node.span.clone())))
            });
            let (batch_template, batch_template_place) = batch.unzip();
            let name = Category::from(name);
            types.push(NotificationType { name, marketing, batch_template, batch_template_place });
        }
    }
    problems.extend(reader.into_problems());
    (types, problems)
}
