//! NT services on files, where programs use them instead of kernel32's.

use std::sync::Arc;

use transom_sdk::{Cx, Func, Guest, GuestData, Handle, Nt, Out, Ptr, WStr, foundation as f, mem, shim};
use transom_syscalls::file::{FileObject, OpenRequest, Opened, Operation, Position};
use transom_syscalls::handle::{HandleFlags, Ref};
use transom_syscalls::named_pipe::NewPipe;
use windows_sys::Wdk::Storage::FileSystem as class;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Pipes as pipes;

use super::objects::ObjectAttributes;
use super::probe::{fault, get, put, status, word};
use super::strings::UnicodeString;
use crate::kernel32::fileapi::{moved, overlapped, range};
use crate::kernel32::namedpipeapi::file_access;

/// IO_STATUS_BLOCK.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::IO::IO_STATUS_BLOCK)]
pub(crate) struct IoStatus {
    status: usize,
    information: usize,
}

impl IoStatus {
    pub(crate) fn new(status: i32, information: u64) -> Self {
        Self { status: word(u64::from(status.cast_unsigned())), information: word(information) }
    }
}

/// FILE_BASIC_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::Storage::FileSystem::FILE_BASIC_INFORMATION)]
struct Basic {
    times: [i64; 4],
    attributes: u32,
}

/// FILE_STANDARD_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::Storage::FileSystem::FILE_STANDARD_INFORMATION)]
struct Standard {
    allocated: i64,
    size: i64,
    links: u32,
    delete_pending: u8,
    directory: u8,
}

/// FILE_NETWORK_OPEN_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::Storage::FileSystem::FILE_NETWORK_OPEN_INFORMATION)]
struct NetworkOpen {
    times: [i64; 4],
    allocated: i64,
    size: i64,
    attributes: u32,
}

/// FILE_ATTRIBUTE_TAG_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::System::SystemServices::FILE_ATTRIBUTE_TAG_INFORMATION)]
struct AttributeTag {
    attributes: u32,
    tag: u32,
}

/// The root of the file system of pipes (`\\Device\\NamedPipe\\`), as far as a handle to it is good for anything.
struct PipeRoot;

impl transom_syscalls::object::Object for PipeRoot {
    fn kind(&self) -> transom_syscalls::object::Kind {
        transom_syscalls::object::Kind::File
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn name_of(cx: &Cx, attributes: &ObjectAttributes) -> Nt<Vec<u16>> {
    if attributes.name.is_null() {
        Ok(Vec::new())
    } else {
        get(cx, attributes.name.cast::<UnicodeString>())?.text()
    }
}

/// What follows the directory of pipes in an NT path.
fn below_pipes(name: &[u16]) -> Option<Vec<u16>> {
    let text = String::from_utf16_lossy(name);
    let lower = text.to_ascii_lowercase();
    let prefix = [r"\device\namedpipe\", r"\??\pipe\"].into_iter().find(|p| lower.starts_with(p))?;
    Some(name[prefix.len()..].to_vec())
}

/// Creates a server end of a named pipe, or of one without a name (below the root of pipes, with an empty name).
#[shim(ntdll(NtCreateNamedPipeFile, ZwCreateNamedPipeFile))]
fn NtCreateNamedPipeFile(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io: Out<IoStatus>,
    share: u32,
    disposition: u32,
    options: u32,
    kind: u32,
    read_mode: u32,
    completion: u32,
    instances: u32,
    _in_quota: u32,
    _out_quota: u32,
    _timeout: Ptr<i64>,
) -> Nt<()> {
    let given = get(cx, attributes)?;
    let name = name_of(cx, &given)?;
    let name = if given.root.is_null() { below_pipes(&name) } else { Some(name) };
    let name = name.ok_or(transom_sdk::Status(f::STATUS_OBJECT_PATH_NOT_FOUND))?;
    // What the server may not do with its own end, clients may with theirs, as far as the server shares it.
    let mut client = fs::FILE_READ_ATTRIBUTES | fs::SYNCHRONIZE;
    if share & fs::FILE_SHARE_READ != 0 {
        client |= fs::FILE_GENERIC_READ;
    }
    if share & fs::FILE_SHARE_WRITE != 0 {
        client |= fs::FILE_GENERIC_WRITE;
    }
    let access = file_access(access);
    let new = NewPipe {
        access,
        overlapped: options & (class::FILE_SYNCHRONOUS_IO_ALERT | class::FILE_SYNCHRONOUS_IO_NONALERT) == 0,
        instances: instances.min(transom_syscalls::named_pipe::UNLIMITED),
        first: disposition == class::FILE_CREATE,
        messages: kind & class::FILE_PIPE_MESSAGE_TYPE != 0,
    };
    let pipe = cx.files().create_named_pipe((!name.is_empty()).then_some(&name), new, client)?;
    let mut mode = if completion & class::FILE_PIPE_COMPLETE_OPERATION != 0 { pipes::PIPE_NOWAIT } else { 0 };
    if read_mode & class::FILE_PIPE_MESSAGE_MODE != 0 {
        mode |= pipes::PIPE_READMODE_MESSAGE;
    }
    if mode != 0 {
        pipe.set_pipe_mode(mode)?;
    }
    let flags = HandleFlags::inheritable(given.attributes & f::OBJ_INHERIT != 0);
    let handle = cx.handles().insert(pipe, access, flags)?;
    put(cx, out.ptr(), handle.into())?;
    put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 0))
}

/// Opens what is below the root of pipes, if the attributes name that: the root itself, a pipe, or the client end of a server end.
fn open_pipe(cx: &Cx, out: Out<Handle>, access: u32, at: Ptr<ObjectAttributes>, options: u32) -> Nt<bool> {
    let given = get(cx, at)?;
    let name = name_of(cx, &given)?;
    let flags = HandleFlags::inheritable(given.attributes & f::OBJ_INHERIT != 0);
    let overlapped = options & (class::FILE_SYNCHRONOUS_IO_ALERT | class::FILE_SYNCHRONOUS_IO_NONALERT) == 0;
    let access = file_access(access);
    let pipe = if given.root.is_null() {
        match below_pipes(&name) {
            None => return Ok(false),
            Some(name) if name.is_empty() => {
                let handle = cx.handles().insert(Arc::new(PipeRoot), access, flags)?;
                put(cx, out.ptr(), handle.into())?;
                return Ok(true);
            }
            Some(name) => cx.files().open_named_pipe(&name, access, overlapped)?,
        }
    } else if cx.object::<PipeRoot>(given.root, 0).is_ok() {
        cx.files().open_named_pipe(&name, access, overlapped)?
    } else {
        let server = cx.file(given.root)?.to_arc();
        if !name.is_empty() || server.file_type() != fs::FILE_TYPE_PIPE {
            return Ok(false);
        }
        cx.files().open_pipe_of(&server, access, overlapped)?
    };
    let handle = cx.handles().insert(pipe, access, flags)?;
    put(cx, out.ptr(), handle.into())?;
    Ok(true)
}

/// The path that object attributes name, below their root directory if they have one.
fn path(cx: &Cx, at: Ptr<ObjectAttributes>) -> Nt<(Vec<u16>, HandleFlags)> {
    let attributes = get(cx, at)?;
    if attributes.name.is_null() {
        return status(f::STATUS_OBJECT_PATH_SYNTAX_BAD);
    }
    let string = get(cx, attributes.name.cast::<UnicodeString>())?;
    let name = string.text()?;
    let flags = HandleFlags::inheritable(attributes.attributes & f::OBJ_INHERIT != 0);
    if attributes.root.is_null() {
        return Ok((name, flags));
    }
    let root = cx.file(attributes.root)?;
    Ok((cx.files().path_below(&root, &name)?, flags))
}

/// Creates a new file or directory, or opens one.
#[shim(ntdll(NtCreateFile, ZwCreateFile), partial = "no consoles, no extended attributes")]
fn NtCreateFile(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io: Out<IoStatus>,
    _allocation: Ptr<i64>,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    _ea: Ptr<u8>,
    _ea_length: u32,
) -> Nt<()> {
    if open_pipe(cx, out, access, attributes, options)? {
        return put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 1));
    }
    let given = get(cx, attributes)?;
    if given.root.is_null() && super::afd::is_driver(&name_of(cx, &given)?) {
        let synchronous = class::FILE_SYNCHRONOUS_IO_ALERT | class::FILE_SYNCHRONOUS_IO_NONALERT;
        let flags = HandleFlags::inheritable(given.attributes & f::OBJ_INHERIT != 0);
        super::afd::open(cx, out, flags, options & synchronous == 0)?;
        return put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 1));
    }
    let (name, flags) = path(cx, attributes)?;
    let request = OpenRequest { access, share, disposition, options, attributes: file_attributes };
    match cx.files().open(&name, &request)? {
        Opened::File(file, action) => {
            let granted = file.access();
            let handle = cx.handles().insert(file, granted, flags)?;
            put(cx, out.ptr(), handle.into())?;
            put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, action.into()))
        }
        Opened::Console(_) | Opened::NamedPipe(_) => status(f::STATUS_OBJECT_NAME_NOT_FOUND),
    }
}

/// Opens an existing file, directory or device.
#[shim(ntdll(NtOpenFile, ZwOpenFile), partial = "no consoles")]
fn NtOpenFile(
    cx: &Cx,
    out: Out<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io: Out<IoStatus>,
    share: u32,
    options: u32,
) -> Nt<()> {
    let open = class::FILE_OPEN;
    NtCreateFile(cx, out, access, attributes, io, Ptr::NULL, 0, share, open, options, Ptr::NULL, 0)
}

fn position(cx: &Cx, offset: Ptr<u64>) -> Nt<Position> {
    if offset.is_null() { Ok(Position::Current) } else { Ok(Position::from_offset(get(cx, offset)?)) }
}

/// Tells the end of an operation: the status block, the event, the completion port.
pub(crate) fn finish(
    cx: &Cx,
    file: &FileObject,
    event: Handle,
    context: u64,
    io: Out<IoStatus>,
    end: IoEnd,
) -> Nt<()> {
    put(cx, io.ptr(), IoStatus::new(end.status, end.information))?;
    let event = if event.is_null() {
        None
    } else {
        Some(cx.object::<transom_syscalls::wait::Event>(event, 0)?.to_arc())
    };
    let event = event.as_deref().map(|e| e as &dyn transom_syscalls::object::Object);
    file.complete(&transom_syscalls::file::Completion {
        status: end.status,
        information: end.information,
        context,
        event,
        pended: false,
    })?;
    if end.status == f::STATUS_SUCCESS { Ok(()) } else { status(end.status) }
}

/// Begins an operation on a pipe.
fn begin(
    cx: &Cx,
    file: Arc<FileObject>,
    operation: Operation,
    io: Out<IoStatus>,
    event: Handle,
    context: u64,
    routine: Func,
) -> Nt<()> {
    let event = if event.is_null() {
        None
    } else {
        Some(cx.object::<transom_syscalls::wait::Event>(event, 0)?.to_arc())
    };
    let me = || transom_syscalls::thread::current().to_arc();
    let notice = overlapped::Notice {
        file,
        words: io.ptr().addr(),
        wide: cx.is_64(),
        event,
        context: if routine.is_null() { context } else { 0 },
        routine: (!routine.is_null()).then(|| overlapped::Routine::Nt(me(), routine, context)),
        pended: false,
    };
    match overlapped::begin(notice, operation)? {
        Some(_) => Ok(()),
        None => status(f::STATUS_PENDING),
    }
}

/// How an operation has ended.
pub(crate) struct IoEnd {
    pub(crate) status: i32,
    pub(crate) information: u64,
}

impl IoEnd {
    /// That of an operation on `len` bytes.
    fn of(result: Result<usize, transom_sdk::Status>, len: u32) -> Self {
        let status = result.err().map_or(f::STATUS_SUCCESS, |e| e.0);
        Self { status, information: moved(result, len).into() }
    }
}

/// Reads data from an open file.
#[shim(ntdll(NtReadFile, ZwReadFile), partial = "completion routines for pipes only")]
fn NtReadFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    buffer: Ptr<u8>,
    length: u32,
    offset: Ptr<u64>,
    _key: Ptr<u32>,
) -> Nt<()> {
    let file: Ref<'_, FileObject> = cx.file(file)?;
    if file.may_pend() {
        let operation = Operation::Read(buffer.addr(), length as usize);
        return begin(cx, file.to_arc(), operation, io, event, context as u64, routine);
    }
    if !routine.is_null() {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    let end = IoEnd::of(file.read(range(buffer, length), position(cx, offset)?), length);
    finish(cx, &file, event, context as u64, io, end)
}

/// Writes data to an open file.
#[shim(ntdll(NtWriteFile, ZwWriteFile), partial = "completion routines for pipes only")]
fn NtWriteFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    buffer: Ptr<u8>,
    length: u32,
    offset: Ptr<u64>,
    _key: Ptr<u32>,
) -> Nt<()> {
    let file: Ref<'_, FileObject> = cx.file(file)?;
    if file.may_pend() {
        let operation = Operation::Write(buffer.addr(), length as usize);
        return begin(cx, file.to_arc(), operation, io, event, context as u64, routine);
    }
    if !routine.is_null() {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    let end = IoEnd::of(file.write(range(buffer, length), position(cx, offset)?), length);
    finish(cx, &file, event, context as u64, io, end)
}

fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// Writes an answer of fixed size.
pub(crate) fn answer<T: GuestData>(cx: &Cx, io: Out<IoStatus>, out: Ptr<u8>, room: u32, value: T) -> Nt<()> {
    let size = cx.size_of::<T>();
    if (room as usize) < size {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    put(cx, out.cast(), value)?;
    put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, size as u64))
}

/// The create options that are a file's mode.
pub(super) const MODES: u32 = class::FILE_WRITE_THROUGH
    | class::FILE_SEQUENTIAL_ONLY
    | class::FILE_NO_INTERMEDIATE_BUFFERING
    | class::FILE_SYNCHRONOUS_IO_ALERT
    | class::FILE_SYNCHRONOUS_IO_NONALERT
    | class::FILE_DELETE_ON_CLOSE;

/// Returns various kinds of information about a file.
#[shim(ntdll(NtQueryInformationFile, ZwQueryInformationFile), partial = "some of the classes")]
fn NtQueryInformationFile(
    cx: &Cx,
    file: Handle,
    io: Out<IoStatus>,
    out: Ptr<u8>,
    room: u32,
    kind: i32,
) -> Nt<()> {
    let file: Ref<'_, FileObject> = cx.file(file)?;
    match kind {
        class::FileModeInformation => answer(cx, io, out, room, file.options() & MODES),
        class::FilePipeLocalInformation => super::pipe_information::answer(cx, &file, io, out, room),
        class::FileAllInformation => super::all_information::answer(cx, &file, io, out, room),
        class::FileAccessInformation => answer(cx, io, out, room, file.access()),
        class::FileAlignmentInformation => answer(cx, io, out, room, 0u32),
        class::FilePositionInformation => answer(cx, io, out, room, file.position()?),
        class::FileNameInformation => name_information(cx, &file, io, out, room),
        class::FileBasicInformation
        | class::FileStandardInformation
        | class::FileInternalInformation
        | class::FileNetworkOpenInformation
        | class::FileAttributeTagInformation => meta_information(cx, &file, io, out, room, kind),
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}

fn meta_information(
    cx: &Cx,
    file: &FileObject,
    io: Out<IoStatus>,
    out: Ptr<u8>,
    room: u32,
    kind: i32,
) -> Nt<()> {
    let meta = file.query()?;
    let times = [meta.created, meta.accessed, meta.written, meta.changed];
    let attributes = meta.attributes;
    match kind {
        class::FileBasicInformation => answer(cx, io, out, room, Basic { times, attributes }),
        class::FileInternalInformation => answer(cx, io, out, room, meta.inode),
        class::FileAttributeTagInformation => {
            const LINK: u32 = windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_SYMLINK;
            let tag = if attributes & fs::FILE_ATTRIBUTE_REPARSE_POINT != 0 { LINK } else { 0 };
            answer(cx, io, out, room, AttributeTag { attributes, tag })
        }
        class::FileNetworkOpenInformation => {
            let (allocated, size) = (signed(meta.allocated), signed(meta.size));
            answer(cx, io, out, room, NetworkOpen { times, allocated, size, attributes })
        }
        _ => {
            let standard = Standard {
                allocated: signed(meta.allocated),
                size: signed(meta.size),
                links: meta.links,
                delete_pending: file.is_delete_pending().into(),
                directory: meta.is_directory().into(),
            };
            answer(cx, io, out, room, standard)
        }
    }
}

/// FILE_NAME_INFORMATION: a length in bytes, then the path without its drive.
fn name_information(cx: &Cx, file: &FileObject, io: Out<IoStatus>, out: Ptr<u8>, room: u32) -> Nt<()> {
    let path = file.final_path()?;
    let name = path.get(2..).unwrap_or(&[]);
    let room = (room as usize).checked_sub(4).ok_or(transom_sdk::Status(f::STATUS_INFO_LENGTH_MISMATCH))?;
    let length = u32::try_from(2 * name.len()).unwrap_or(u32::MAX);
    put(cx, out.cast(), length)?;
    let kept = name.len().min(room / 2);
    mem::write_slice(out.byte_add(4).addr(), &name[..kept]).map_err(fault)?;
    let end = if kept < name.len() { f::STATUS_BUFFER_OVERFLOW } else { f::STATUS_SUCCESS };
    put(cx, io.ptr(), IoStatus::new(end, 4 + 2 * kept as u64))?;
    if end == f::STATUS_SUCCESS { Ok(()) } else { status(end) }
}

/// Changes various kinds of information about a file.
#[shim(ntdll(NtSetInformationFile, ZwSetInformationFile), partial = "some of the classes")]
fn NtSetInformationFile(
    cx: &Cx,
    file: Handle,
    io: Out<IoStatus>,
    data: Ptr<u8>,
    length: u32,
    kind: i32,
) -> Nt<()> {
    let file: Ref<'_, FileObject> = cx.file(file)?;
    let need = |bytes: u32| {
        if length < bytes { status(f::STATUS_INFO_LENGTH_MISMATCH) } else { Ok(()) }
    };
    match kind {
        class::FilePositionInformation => {
            need(8)?;
            file.set_position(get(cx, data.cast::<i64>())?, fs::FILE_BEGIN)?;
        }
        class::FileEndOfFileInformation => {
            need(8)?;
            file.set_end_of_file(get(cx, data.cast::<u64>())?)?;
        }
        class::FileAllocationInformation => {
            need(8)?;
            file.set_allocation(get(cx, data.cast::<u64>())?)?;
        }
        class::FileDispositionInformation => {
            need(1)?;
            let delete = get(cx, data.cast::<u8>())? != 0;
            file.set_disposition(transom_syscalls::file::Disposition { delete, ..Default::default() })?;
        }
        class::FileDispositionInformationEx => {
            need(4)?;
            let flags = get(cx, data.cast::<u32>())?;
            file.set_disposition(transom_syscalls::file::Disposition {
                delete: flags & class::FILE_DISPOSITION_DELETE != 0,
                posix: flags & class::FILE_DISPOSITION_POSIX_SEMANTICS != 0,
                ignore_read_only: flags & class::FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE != 0,
            })?;
        }
        class::FileBasicInformation => {
            need(40)?;
            let basic = get(cx, data.cast::<Basic>())?;
            let [created, accessed, written, _] = basic.times;
            file.set_basic(&transom_syscalls::file::BasicChange::from_fields(
                created,
                accessed,
                written,
                basic.attributes,
            ))?;
        }
        _ => return status(f::STATUS_INVALID_INFO_CLASS),
    }
    put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 0))
}

/// Retrieves basic information of a path.
#[shim(ntdll(NtQueryAttributesFile, ZwQueryAttributesFile))]
fn NtQueryAttributesFile(cx: &Cx, attributes: Ptr<ObjectAttributes>, out: Out<Basic>) -> Nt<()> {
    let (name, _) = path(cx, attributes)?;
    let meta = cx.files().query(&name)?;
    let times = [meta.created, meta.accessed, meta.written, meta.changed];
    put(cx, out.ptr(), Basic { times, attributes: meta.attributes })
}

/// Retrieves information of a path, with its size.
#[shim(ntdll(NtQueryFullAttributesFile, ZwQueryFullAttributesFile))]
fn NtQueryFullAttributesFile(cx: &Cx, attributes: Ptr<ObjectAttributes>, out: Out<NetworkOpen>) -> Nt<()> {
    let (name, _) = path(cx, attributes)?;
    let meta = cx.files().query(&name)?;
    let information = NetworkOpen {
        times: [meta.created, meta.accessed, meta.written, meta.changed],
        allocated: signed(meta.allocated),
        size: signed(meta.size),
        attributes: meta.attributes,
    };
    put(cx, out.ptr(), information)
}

/// Deletes a file by its path.
#[shim(ntdll(NtDeleteFile, ZwDeleteFile))]
fn NtDeleteFile(cx: &Cx, attributes: Ptr<ObjectAttributes>) -> Nt<()> {
    let (name, _) = path(cx, attributes)?;
    Ok(cx.files().delete_file(&name)?)
}

/// The NT path of a DOS path, in a buffer that RtlFreeUnicodeString frees.
#[shim(ntdll(RtlDosPathNameToNtPathName_U))]
fn RtlDosPathNameToNtPathName_U(
    cx: &Cx,
    name: WStr,
    out: Out<UnicodeString>,
    _file_part: Ptr<u8>,
    _relative: Ptr<u8>,
) -> bool {
    let convert = || -> Nt<()> {
        let full = cx.files().names.full_path(&name.get().map_err(fault)?)?;
        let mut text: Vec<u16> = r"\??\".encode_utf16().collect();
        text.extend(full);
        let length =
            u16::try_from(2 * text.len()).map_err(|_| transom_sdk::Status(f::STATUS_NAME_TOO_LONG))?;
        text.push(0);
        let block = cx.heaps().process().alloc(2 * text.len() as u64, false);
        let block = block.ok_or(transom_sdk::Status(f::STATUS_NO_MEMORY))?;
        mem::write_slice(block, &text).map_err(fault)?;
        let string = UnicodeString { length, maximum: length.saturating_add(2), buffer: Ptr::new(block) };
        put(cx, out.ptr(), string)
    };
    convert().is_ok()
}
