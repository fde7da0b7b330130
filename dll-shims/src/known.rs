//! DLLs of Windows of which Transom has no function: windows, printers, devices, sound, directories.
//!
//! Console programs import many of them, for a dialog they show on request or because a library they are linked with would
//! use them. They load, and what they call of these DLLs fails when it is called; GetProcAddress finds nothing in them. A file of
//! the name beside the program goes before them. A DLL that is in neither this table nor the shim crates is unknown, and a
//! program that needs it does not start.
//!
//! A DLL that gets its first function leaves this table.

use transom_sdk::{Dll, Exports};

/// A DLL without functions.
const fn none(name: &'static str) -> Dll {
    Dll { name, exports: Exports::Listed(&[]) }
}

/// The DLLs, sorted by name.
pub(crate) static DLLS: &[Dll] = &[
    none("activeds.dll"),
    none("authz.dll"),
    none("avicap32.dll"),
    none("avifil32.dll"),
    none("avrt.dll"),
    none("bluetoothapis.dll"),
    none("bthprops.cpl"),
    none("cabinet.dll"),
    none("cfgmgr32.dll"),
    none("clusapi.dll"),
    none("comctl32.dll"),
    none("comdlg32.dll"),
    none("credui.dll"),
    none("cryptnet.dll"),
    none("cryptui.dll"),
    none("d2d1.dll"),
    none("d3d10.dll"),
    none("d3d10_1.dll"),
    none("d3d11.dll"),
    none("d3d12.dll"),
    none("d3d8.dll"),
    none("d3d9.dll"),
    none("d3dcompiler_43.dll"),
    none("d3dcompiler_47.dll"),
    none("dbgeng.dll"),
    none("dciman32.dll"),
    none("dcomp.dll"),
    none("ddraw.dll"),
    none("dhcpcsvc.dll"),
    none("dhcpcsvc6.dll"),
    none("dinput.dll"),
    none("dinput8.dll"),
    none("dnsapi.dll"),
    none("dpapi.dll"),
    none("dsound.dll"),
    none("dwmapi.dll"),
    none("dwrite.dll"),
    none("dxgi.dll"),
    none("dxva2.dll"),
    none("esent.dll"),
    none("evr.dll"),
    none("fltlib.dll"),
    none("fwpuclnt.dll"),
    none("gdiplus.dll"),
    none("glu32.dll"),
    none("hid.dll"),
    none("hlink.dll"),
    none("httpapi.dll"),
    none("imm32.dll"),
    none("inetcomm.dll"),
    none("ksuser.dll"),
    none("loadperf.dll"),
    none("logoncli.dll"),
    none("lz32.dll"),
    none("mapi32.dll"),
    none("mf.dll"),
    none("mfplat.dll"),
    none("mfreadwrite.dll"),
    none("mlang.dll"),
    none("mmdevapi.dll"),
    none("mpr.dll"),
    none("msacm32.dll"),
    none("mscms.dll"),
    none("msctf.dll"),
    none("msdmo.dll"),
    none("mshtml.dll"),
    none("msi.dll"),
    none("msimg32.dll"),
    none("mspatcha.dll"),
    none("msvfw32.dll"),
    none("msxml3.dll"),
    none("msxml6.dll"),
    none("netapi32.dll"),
    none("netutils.dll"),
    none("newdev.dll"),
    none("ntdsapi.dll"),
    none("ntlanman.dll"),
    none("odbc32.dll"),
    none("odbccp32.dll"),
    none("oleacc.dll"),
    none("oledlg.dll"),
    none("opengl32.dll"),
    none("propsys.dll"),
    none("quartz.dll"),
    none("rasapi32.dll"),
    none("rasdlg.dll"),
    none("resutils.dll"),
    none("riched20.dll"),
    none("riched32.dll"),
    none("rstrtmgr.dll"),
    none("rtworkq.dll"),
    none("samcli.dll"),
    none("samlib.dll"),
    none("schannel.dll"),
    none("security.dll"),
    none("sensapi.dll"),
    none("setupapi.dll"),
    none("sfc.dll"),
    none("shcore.dll"),
    none("slc.dll"),
    none("snmpapi.dll"),
    none("srclient.dll"),
    none("srvcli.dll"),
    none("sti.dll"),
    none("sxs.dll"),
    none("t2embed.dll"),
    none("tapi32.dll"),
    none("taskschd.dll"),
    none("tbs.dll"),
    none("tdh.dll"),
    none("traffic.dll"),
    none("twain_32.dll"),
    none("twinapi.appcore.dll"),
    none("uiautomationcore.dll"),
    none("urlmon.dll"),
    none("usp10.dll"),
    none("uxtheme.dll"),
    none("virtdisk.dll"),
    none("vssapi.dll"),
    none("webauthn.dll"),
    none("websocket.dll"),
    none("wer.dll"),
    none("wevtapi.dll"),
    none("wimgapi.dll"),
    none("windowscodecs.dll"),
    none("wininet.dll"),
    none("winscard.dll"),
    none("winspool.drv"),
    none("wintrust.dll"),
    none("winusb.dll"),
    none("wkscli.dll"),
    none("wlanapi.dll"),
    none("wldap32.dll"),
    none("wldp.dll"),
    none("wofutil.dll"),
    none("wscapi.dll"),
    none("wsdapi.dll"),
    none("wsnmp32.dll"),
    none("wtsapi32.dll"),
    none("xaudio2_9.dll"),
    none("xinput1_3.dll"),
    none("xinput1_4.dll"),
    none("xinput9_1_0.dll"),
    none("xmllite.dll"),
    none("xolehlp.dll"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_only_what_is_not_there() {
        assert!(DLLS.is_sorted_by(|a, b| a.name < b.name));
        for dll in DLLS {
            let there = [transom_crt::DLLS, transom_win32::DLLS].concat().iter().any(|d| d.name == dll.name);
            assert!(!there, "{} has functions now: take it out of this table", dll.name);
            assert!(
                crate::CATALOG.aliases.iter().all(|(alias, _)| *alias != dll.name),
                "{} is an alias",
                dll.name
            );
        }
    }
}
