//! A certificate in a store: its encoding, and the properties that programs attach to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::asn1::x509::Certificate;
use crate::hashing::{Algorithm, hash};

/// A certificate in a store.
pub(crate) struct Element {
    body: Arc<Body>,
    removed: AtomicBool,
}

/// A certificate with its properties, which links share.
#[derive(Default)]
struct Body {
    der: Vec<u8>,
    properties: Mutex<BTreeMap<u32, Vec<u8>>>,
}

impl Body {
    fn properties(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<u8>>> {
        self.properties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Body> for Element {
    fn from(body: Body) -> Self {
        Self { body: Arc::new(body), removed: AtomicBool::new(false) }
    }
}

impl Element {
    /// An element for an encoding, if it is one of a certificate. What follows the certificate is left away.
    pub(crate) fn new(bytes: &[u8]) -> Option<Arc<Self>> {
        Certificate::read(bytes)?;
        let der = crate::asn1::read::Reader::new(bytes).any()?.whole.to_vec();
        Some(Arc::new(Body { der, ..Body::default() }.into()))
    }

    /// The same certificate in another store, with the properties that it has now.
    pub(crate) fn copy(&self) -> Arc<Self> {
        let properties = Mutex::new(self.body.properties().clone());
        let body = Body { der: self.body.der.clone(), properties };
        Arc::new(body.into())
    }

    /// The same certificate in another store: what is set on one is set on the other.
    pub(crate) fn link(&self) -> Arc<Self> {
        Arc::new(Self { body: self.body.clone(), removed: AtomicBool::new(false) })
    }

    /// The encoding.
    pub(crate) fn der(&self) -> &[u8] {
        &self.body.der
    }

    /// What is in it.
    pub(crate) fn certificate(&self) -> Option<Certificate<'_>> {
        Certificate::read(&self.body.der)
    }

    /// The hash of the encoding.
    pub(crate) fn hash(&self, algorithm: Algorithm) -> Vec<u8> {
        hash(algorithm, &self.body.der)
    }

    /// A property that was set.
    pub(crate) fn property(&self, id: u32) -> Option<Vec<u8>> {
        self.body.properties().get(&id).cloned()
    }

    /// Sets a property, or removes it.
    pub(crate) fn set_property(&self, id: u32, value: Option<Vec<u8>>) {
        let mut properties = self.body.properties();
        match value {
            Some(value) => drop(properties.insert(id, value)),
            None => drop(properties.remove(&id)),
        }
    }

    /// The property after `id` that is set.
    pub(crate) fn next_property(&self, id: u32) -> Option<u32> {
        let properties = self.body.properties();
        properties.keys().copied().find(|&known| known > id)
    }

    /// Takes it out of its store. Programs that have it still have it.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    /// Whether it was taken out of its store.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }
}
