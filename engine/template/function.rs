//! What templates can call. Strict but for the lenient ones: a missing value is an error.

mod date;
mod money;
mod partial;
mod text;

use handlebars::template::{HelperTemplate, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason,
    ScopedJson, Template,
};
use serde_json::Value;

use super::language::Language;

/// Helpers that give a value.
pub(super) const FUNCTIONS: [&str; 21] = [
    "date", "time", "datetime", "plural", "money", "truncate", "url", "default", "upper", "lower",
    "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len", "lookup",
];

/// Helpers that hold a block.
pub(super) const BLOCKS: [&str; 5] = ["if", "unless", "each", "with", "raw"];

/// Functions to which a missing value is falsy.
pub(super) const LENIENT: [&str; 4] = ["default", "and", "or", "not"];

/// Not to be written by users: what `{{> name}}` becomes.
const PARTIAL: &str = "_partial";

type Call = fn(&Arguments<'_, '_>) -> Result<Value, String>;

struct Function {
    name: &'static str,
    call: Call,
}

/// What a helper was given, and who reads its result.
struct Arguments<'a, 'rc> {
    helper: &'a Helper<'rc>,
    context: &'a Value,
}

pub(super) fn register(engine: &mut Handlebars<'static>) {
    let functions: [(&'static str, Call); 13] = [
        ("date", date::date),
        ("time", date::time),
        ("datetime", date::date_time),
        ("money", money::money),
        ("plural", text::plural),
        ("truncate", text::truncate),
        ("url", text::url),
        ("default", text::default),
        ("upper", text::upper),
        ("lower", text::lower),
        ("and", text::and),
        ("or", text::or),
        ("not", text::not),
    ];
    for (name, call) in functions {
        engine.register_helper(name, Box::new(Function { name, call }));
    }
    engine.register_helper(PARTIAL, Box::new(partial::Partial));
    // It would write the data of users into the log.
    engine.unregister_helper("log");
}

/// An empty call of [`partial::Partial`], to be filled with the partial's name and parameters.
pub(super) fn partial_call() -> Option<Box<HelperTemplate>> {
    let call = Template::compile("{{#_partial}}{{/_partial}}").ok()?;
    call.elements.into_iter().find_map(|element| match element {
        TemplateElement::HelperBlock(call) => Some(call),
        _ => None,
    })
}

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = Arguments { helper, context: context.data() };
        (self.call)(&arguments)
            .map(ScopedJson::Derived)
            .map_err(|message| refuse(self.name, &message))
    }
}

fn refuse(name: &str, message: &str) -> RenderError {
    RenderErrorReason::Other(format!("helper `{name}`: {message}")).into()
}

impl Arguments<'_, '_> {
    /// A value that must be there; `what` names it where it is not.
    fn value(&self, index: usize, what: &str) -> Result<&Value, String> {
        let parameter = self
            .helper
            .param(index)
            .ok_or_else(|| format!("needs {what} as value {}", index + 1))?;
        if parameter.is_value_missing() {
            return Err(match parameter.relative_path() {
                Some(path) => format!("missing field `{path}`"),
                None => format!("{what} is missing"),
            });
        }
        Ok(parameter.value())
    }

    /// A value that may be missing, which is null.
    fn lenient(&self, index: usize) -> &Value {
        self.helper.param(index).map_or(&Value::Null, |parameter| parameter.value())
    }

    fn text(&self, index: usize, what: &str) -> Result<&str, String> {
        self.value(index, what)?.as_str().ok_or_else(|| format!("{what} must be a text"))
    }

    /// A number, or a text that is one.
    fn number(&self, index: usize, what: &str) -> Result<f64, String> {
        let value = self.value(index, what)?;
        value
            .as_f64()
            .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
            .filter(|number| number.is_finite())
            .ok_or_else(|| format!("{what} must be a number"))
    }

    fn count(&self) -> usize {
        self.helper.params().len()
    }

    fn option(&self, name: &str) -> Option<&Value> {
        self.helper.hash_get(name).map(|option| option.value())
    }

    fn language(&self) -> Language {
        Language::of(self.recipient("locale").unwrap_or_default())
    }

    fn recipient(&self, field: &str) -> Option<&str> {
        self.context.get("recipient")?.get(field)?.as_str()
    }
}
