// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernels that all brokers know. A name belongs to the handle that added it, until that removes it or has ended.
use crate::error::RefusedRoute;
use crate::registry::{answered, asked, infos};
use crate::{AuditTag, Error, KernelInfo, Result, TenantId, TenantRegistry, Verdict};
use k2k_registry_sys as sys;
use std::ffi::CString;

/// An admitted message from one kernel to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The sender's, which was charged.
    pub tenant_id: TenantId,
    /// Of its registration.
    pub generation: u64,
    /// The tag that is billed.
    pub audit_tag: AuditTag,
    /// The sender is in the directory; else its tenant is 0.
    pub from_directory: bool,
    /// `None`: the receiver is not in the directory, and the message reaches nobody.
    pub destination: Option<Destination>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    pub tenant_id: TenantId,
    /// What the kernel was added with.
    pub address: [u64; 2],
    /// Of the broker that owns the kernel.
    pub incarnation: u64,
    /// That broker's slot.
    pub broker: u32,
}

fn name_of(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Error::invalid("a name with a zero byte"))
}

impl TenantRegistry {
    /// Enters the name, 1 to 63 bytes, and takes a kernel slot of the tenant, both or neither. A name of this handle moves
    /// to the new tenant in one step. `address` is for those who find the kernel.
    pub fn add_kernel(
        &self,
        name: impl AsRef<[u8]>,
        tenant_id: TenantId,
        audit_tag: AuditTag,
        address: [u64; 2],
    ) -> Result<Verdict> {
        let (name, address) = (name_of(name.as_ref())?, sys::k2k_kernel_address { words: address });
        asked(|verdict| unsafe {
            sys::k2k_kernel_add(self.handle(), name.as_ptr(), tenant_id, audit_tag.native(), &address, verdict)
        })
    }

    /// Gives the name and its slot back.
    pub fn remove_kernel(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = name_of(name.as_ref())?;
        answered(unsafe { sys::k2k_kernel_remove(self.handle(), name.as_ptr()) })
    }

    /// The kernel of that name. One whose broker has just died may be found for a second.
    pub fn find_kernel(&self, name: impl AsRef<[u8]>) -> Result<Option<KernelInfo>> {
        let (name, mut info) = (name_of(name.as_ref())?, sys::k2k_kernel_info::default());
        match unsafe { sys::k2k_kernel_find(self.handle(), name.as_ptr(), &mut info) } {
            sys::K2K_ENOKERNEL => Ok(None),
            code => answered(code).map(|()| Some((&info).into())),
        }
    }

    /// Of one tenant, or with [`UNSPECIFIED_TENANT`](crate::UNSPECIFIED_TENANT) of all, in no order.
    pub fn kernels(&self, tenant_id: TenantId) -> Result<Vec<KernelInfo>> {
        infos(|list, room, count| unsafe { sys::k2k_kernel_list(self.handle(), tenant_id, list, room, count) })
    }

    /// The whole decision about messages from a kernel of this handle to another: whose they are, whether they cross
    /// tenants, what is billed, and whether they are admitted. [`Error::route`] says whose the kernels of a refused one are.
    pub fn route(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>, audit_tag: AuditTag, messages: u64) -> Result<Route> {
        let (from, to) = (name_of(from.as_ref())?, name_of(to.as_ref())?);
        let (mut route, mut verdict) = (sys::k2k_route::default(), sys::k2k_verdict::default());
        let code = unsafe {
            let tag = audit_tag.native();
            sys::k2k_message_route(self.handle(), from.as_ptr(), to.as_ptr(), tag, messages, &mut route, &mut verdict)
        };
        if code != 0 {
            let refused = RefusedRoute {
                tenant_id: route.tenant,
                to_tenant: route.to_tenant,
                destination_is_stale: route.flags & sys::K2K_ROUTE_DESTINATION_STALE != 0,
            };
            return Err(Error::of_route(code, verdict.into(), refused));
        }
        let destination = Destination {
            tenant_id: route.to_tenant,
            address: route.address.words,
            incarnation: route.incarnation,
            broker: route.broker,
        };
        Ok(Route {
            tenant_id: route.tenant,
            generation: route.generation,
            audit_tag: AuditTag::new(route.tag.org_id, route.tag.engagement_id),
            from_directory: route.flags & sys::K2K_ROUTE_SOURCE != 0,
            destination: Some(destination).filter(|_| route.flags & sys::K2K_ROUTE_DESTINATION != 0),
            verdict: verdict.into(),
        })
    }
}
