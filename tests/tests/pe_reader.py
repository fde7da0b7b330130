"""Prints what pefile, an independent reader, finds in PE files: a line of JSON per file named on standard input."""
import json
import sys

import pefile

# Its limits are meant for hostile files.
pefile.MAX_IMPORT_SYMBOLS = 1 << 20
pefile.MAX_SYMBOL_NAME_LENGTH = pefile.MAX_IMPORT_NAME_LENGTH = 1 << 12


def text(data):
    return data.decode("latin-1") if data is not None else None


def imports(pe, attribute):
    found = []
    for dll in getattr(pe, attribute, []):
        for i in dll.imports:
            found.append(f"{text(dll.dll).lower()}!{'#' + str(i.ordinal) if i.import_by_ordinal else text(i.name)}")
    return sorted(found)


def resources(pe):
    def label(entry):
        return f'"{entry.name}"' if entry.name is not None else f"#{entry.id}"

    root = getattr(pe, "DIRECTORY_ENTRY_RESOURCE", None)
    return [[label(kind), label(name), language.id, language.data.struct.OffsetToData, language.data.struct.Size]
            for kind in (root.entries if root else []) for name in kind.directory.entries
            for language in name.directory.entries]


def tls(pe):
    found = getattr(pe, "DIRECTORY_ENTRY_TLS", None)
    return [[t.EndAddressOfRawData - t.StartAddressOfRawData, t.SizeOfZeroFill] for t in ([found.struct] if found else [])]


def debug(pe):
    def pdb(entry):
        name = getattr(entry.entry, "PdbFileName", None)
        return name.split(b"\0")[0].decode("utf-8", "replace") if name is not None else None

    return [[d.struct.SizeOfData, d.struct.AddressOfRawData, d.struct.PointerToRawData, pdb(d)]
            for d in getattr(pe, "DIRECTORY_ENTRY_DEBUG", [])]


for line in sys.stdin:
    path = line.rstrip("\n")
    pe = pefile.PE(path, fast_load=True, max_symbol_exports=1 << 20)
    names = ["IMPORT", "EXPORT", "DELAY_IMPORT", "TLS", "RESOURCE", "DEBUG"]
    pe.parse_data_directories([pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{n}"] for n in names])
    exports = getattr(pe, "DIRECTORY_ENTRY_EXPORT", None)
    print(json.dumps({
        "path": path,
        "machine": pe.FILE_HEADER.Machine,
        "subsystem": pe.OPTIONAL_HEADER.Subsystem,
        "entry": pe.OPTIONAL_HEADER.AddressOfEntryPoint,
        "base": pe.OPTIONAL_HEADER.ImageBase,
        "sections": [[text(s.Name.rstrip(b"\0")), s.VirtualAddress, s.Misc_VirtualSize, s.SizeOfRawData] for s in pe.sections],
        "imports": imports(pe, "DIRECTORY_ENTRY_IMPORT"),
        "delayed": imports(pe, "DIRECTORY_ENTRY_DELAY_IMPORT"),
        "exports": sorted(text(s.name) for s in exports.symbols if s.name) if exports else [],
        "characteristics": pe.FILE_HEADER.Characteristics,
        "dll_characteristics": pe.OPTIONAL_HEADER.DllCharacteristics,
        "time_date_stamp": pe.FILE_HEADER.TimeDateStamp,
        "checksum": pe.OPTIONAL_HEADER.CheckSum,
        "size_of_image": pe.OPTIONAL_HEADER.SizeOfImage,
        "tls": tls(pe),
        "resources": resources(pe),
        "debug": debug(pe),
        "signed": pe.OPTIONAL_HEADER.DATA_DIRECTORY[4].Size != 0,
    }), flush=True)
