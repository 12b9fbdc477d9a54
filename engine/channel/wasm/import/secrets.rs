use crate::channel::wasm::bindings::nuncio::channel::secrets::Host;
use crate::channel::wasm::instance::State;
use crate::channel::wasm::secret::Unusable;

type Answer<T> = wasmtime::Result<Result<T, String>>;

impl Host for State {
    fn sign(&mut self, name: String, algorithm: String, data: Vec<u8>) -> Answer<Vec<u8>> {
        Ok(self.rights.vault.sign(&name, &algorithm, &data).map_err(word))
    }

    fn verify(
        &mut self,
        name: String,
        algorithm: String,
        data: Vec<u8>,
        mac: Vec<u8>,
    ) -> Answer<bool> {
        Ok(self.rights.vault.verify(&name, &algorithm, &data, &mac).map_err(word))
    }

    fn reveal(&mut self, name: String) -> Answer<String> {
        Ok(self.rights.vault.reveal(&name).map(Into::into).map_err(word))
    }
}

fn word(unusable: Unusable) -> String {
    unusable.word().into()
}
