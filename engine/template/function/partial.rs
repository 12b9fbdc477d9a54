//! Partials.

use handlebars::{
    BlockContext, BlockParamHolder, Context, Handlebars, Helper, HelperDef, Output, RenderContext,
    RenderError, Renderable,
};

use super::refuse;

/// `{{> name}}` without a copy of the context: parameters become names of a block of its own.
pub(super) struct Partial;

impl HelperDef for Partial {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        output: &mut dyn Output,
    ) -> Result<(), RenderError> {
        let name = helper.param(0).and_then(|name| name.value().as_str()).unwrap_or_default();
        let Some(partial) = engine.get_template(name) else {
            return Err(refuse("partial", "it is not in the set"));
        };
        let scope = helper.param(1);
        if scope.is_none() && helper.hash().is_empty() {
            return partial.render(engine, context, state, output);
        }
        let mut block = BlockContext::new();
        match (scope, state.block()) {
            (Some(scope), _) => match (scope.is_value_missing(), scope.context_path()) {
                (true, _) => return Err(RenderError::strict_error(scope.relative_path())),
                (false, Some(path)) => block.base_path_mut().clone_from(path),
                (false, None) => block.set_base_value(scope.value().clone()),
            },
            (None, Some(outer)) => {
                block.base_path_mut().clone_from(outer.base_path());
                if let Some(value) = outer.base_value() {
                    block.set_base_value(value.clone());
                }
            }
            (None, None) => {}
        }
        if let Some(outer) = state.block() {
            block.local_variables_mut().clone_from(outer.local_variables());
        }
        for (name, value) in helper.hash() {
            if value.is_value_missing() {
                return Err(RenderError::strict_error(value.relative_path()));
            }
            block.set_block_param(name, BlockParamHolder::Value(value.value().clone()));
        }
        state.push_block(block);
        let rendered = partial.render(engine, context, state, output);
        state.pop_block();
        rendered
    }
}
