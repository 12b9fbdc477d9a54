use crate::channel::wasm::bindings::nuncio::channel::runtime::Host;
use crate::channel::wasm::bindings::nuncio::channel::types::FieldResult;
use crate::channel::wasm::fault::Fault;
use crate::channel::wasm::instance::State;

/// How far past its budget a plugin may log before it is stopped: dropping lines costs as well.
const FLOOD: u32 = 16;

impl Host for State {
    fn log(
        &mut self,
        level: u8,
        message: String,
        fields: Vec<FieldResult>,
    ) -> wasmtime::Result<()> {
        let bytes = fields.iter().map(written_bytes).sum::<usize>();
        self.logged.lines += 1;
        self.logged.bytes += message.len() + bytes;
        let limits = &self.rights.limits;
        let (lines, bytes) = (self.logged.lines, self.logged.bytes);
        if lines > limits.log_lines * FLOOD || bytes > limits.log_bytes * FLOOD as usize {
            return Err(Fault::Log.into());
        }
        if lines <= limits.log_lines && bytes <= limits.log_bytes {
            self.write(level, message, fields);
        }
        Ok(())
    }

    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        let now = self.rights.clock.now().as_millisecond();
        Ok(u64::try_from(now).unwrap_or_default())
    }

    fn random(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0; length.min(self.rights.limits.random_bytes) as usize];
        self.rights.clock.fill_random(&mut bytes);
        Ok(bytes)
    }

    fn attachment_read(
        &mut self,
        _id: String,
        _offset: u64,
        _length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        Ok(Err("there is no such attachment".into()))
    }
}

/// With the marks around it: a line of nothing but empty fields is not short.
fn written_bytes(field: &FieldResult) -> usize {
    field.name.len() + field.value.len() + "= ".len()
}

impl State {
    fn write(&self, level: u8, message: String, fields: Vec<FieldResult>) {
        let rights = &self.rights;
        let fields = fields
            .iter()
            .map(|field| format!("{}={}", field.name, field.value))
            .collect::<Vec<_>>()
            .join(" ");
        let (message, fields) = (rights.vault.scrub(message), rights.vault.scrub(fields));
        let (plugin, provider) = (&rights.plugin, &rights.provider);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "nuncio::plugin", plugin, provider, fields, "{message}")
            };
        }
        match level {
            0 => line!(trace),
            1 => line!(debug),
            2 => line!(info),
            3 => line!(warn),
            _ => line!(error),
        }
    }
}
