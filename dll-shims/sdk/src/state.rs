//! Topic state: one value per type, made on first use.
//!
//! "A topic's state is a `State` struct in its file." The values live as long as the process (or thread) does.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// Values by type.
#[derive(Default)]
pub struct States {
    map: RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl States {
    /// The value of type `T`, made with `Default` on first use. Two threads that race see the same value.
    pub fn get<T: Any + Send + Sync + Default>(&self) -> &T {
        let id = TypeId::of::<T>();
        let found =
            self.map.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(|b| pointer::<T>(&**b));
        let pointer = found.unwrap_or_else(|| {
            let fresh: Box<T> = Box::default();
            let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
            pointer::<T>(&**map.entry(id).or_insert(fresh))
        });
        // SAFETY: values are boxed and never removed before `self` is dropped, so the box's contents stay where they are.
        unsafe { &*pointer }
    }
}

fn pointer<T: Any>(value: &(dyn Any + Send + Sync)) -> *const T {
    value.downcast_ref::<T>().expect("the map's key is the value's type")
}
