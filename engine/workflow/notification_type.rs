use super::language;
use super::reader::Reader;
use crate::diagnostic::{Diagnostic, Document, Kind, Source};
use crate::model::Category;

/// A notification type that a pack declares in its `types.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationType {
    pub name: Category,
    /// A law-like opt-out binds even critical messages of this type.
    pub marketing: bool,
}

/// Reads a `types.yaml`: a list, alone or under `types:`, each a name or `{name, marketing}`.
pub fn read_types(source: &Source) -> (Vec<NotificationType>, Vec<Diagnostic>) {
    let (document, mut problems) = Document::parse(source);
    let Some(document) = document else {
        return (Vec::new(), problems);
    };
    let reader = Reader::new(source);
    let mut types = Vec::new();
    let root = document.root.get("types").unwrap_or(&document.root);
    for item in reader.items(root, "types.yaml") {
        let (name, marketing) = match &item.kind {
            Kind::Map(_) => {
                let Some(mut fields) = reader.fields(item, &language::TYPE) else {
                    continue;
                };
                let name = fields.need("name").and_then(|node| reader.text(node, "name"));
                let marketing = fields.flag("marketing");
                fields.finish();
                (name, marketing)
            }
            _ => (reader.text(item, "a type"), false),
        };
        if let Some(name) = name {
            types.push(NotificationType { name: Category::from(name), marketing });
        }
    }
    problems.extend(reader.into_problems());
    (types, problems)
}
