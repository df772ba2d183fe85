//! A gRPC client that learns the schema from the server.
//!
//! In: a server's address. Out: calls of any method with JSON for requests and answers. It shares no code with the
//! server: all it knows is the reflection protocol, and how gRPC carries error details.

use prost::Message;
use prost_reflect::prost_types::{Any, FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use serde_json::Value;
use std::collections::BTreeMap;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

/// The two names of one protocol: their messages are the same on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    V1,
    V1Alpha,
}

impl Version {
    fn path(self) -> &'static str {
        match self {
            Self::V1 => "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            Self::V1Alpha => "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        }
    }
}

/// `google.rpc.Status`, which gRPC itself puts into the details of an error.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

pub(crate) struct Client {
    grpc: Grpc<Channel>,
    version: Version,
    /// The files that were asked for, by name.
    files: BTreeMap<String, FileDescriptorProto>,
}

impl Client {
    pub(crate) async fn connect(address: String, version: Version) -> Self {
        let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
        Self {
            grpc: Grpc::new(channel),
            version,
            files: BTreeMap::new(),
        }
    }

    /// The names of all services.
    pub(crate) async fn services(&mut self) -> Vec<String> {
        match self.ask(MessageRequest::ListServices(String::new())).await {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn service(&mut self, name: &str) -> ServiceDescriptor {
        self.learn(name).await.get_service_by_name(name).unwrap()
    }

    pub(crate) async fn message(&mut self, name: &str) -> MessageDescriptor {
        self.learn(name).await.get_message_by_name(name).unwrap()
    }

    /// Calls `package.Service/Method`.
    pub(crate) async fn call(&mut self, method: &str, request: &Value) -> Result<Value, Status> {
        let (path, request, codec) = self.prepare(method, request).await;
        let response = self.grpc.unary(request, path, codec).await?;
        Ok(json_of(&response.into_inner()))
    }

    /// Calls a method that answers with a stream.
    pub(crate) async fn stream(
        &mut self,
        method: &str,
        request: &Value,
    ) -> Result<Streaming<DynamicMessage>, Status> {
        let (path, request, codec) = self.prepare(method, request).await;
        let response = self.grpc.server_streaming(request, path, codec).await?;
        Ok(response.into_inner())
    }

    /// The details of an error, each read with the descriptor that its type URL names.
    pub(crate) async fn details(&mut self, status: &Status) -> Vec<Value> {
        let mut details = Vec::new();
        for any in RpcStatus::decode(status.details()).unwrap().details {
            let name = any.type_url.strip_prefix("type.googleapis.com/").unwrap();
            let descriptor = self.message(name).await;
            details.push(json_of(
                &DynamicMessage::decode(descriptor, &any.value[..]).unwrap(),
            ));
        }
        details
    }

    async fn prepare(
        &mut self,
        method: &str,
        request: &Value,
    ) -> (PathAndQuery, Request<DynamicMessage>, DynamicCodec) {
        let (service, name) = method.split_once('/').unwrap();
        let service = self.service(service).await;
        let descriptor: MethodDescriptor = service.methods().find(|method| method.name() == name).unwrap();
        let message = DynamicMessage::deserialize(descriptor.input(), request).unwrap();
        self.grpc.ready().await.unwrap();
        let path = format!("/{method}").parse().unwrap();
        (path, Request::new(message), DynamicCodec(descriptor.output()))
    }

    /// Asks for the file that defines a symbol, and for all that it imports.
    async fn learn(&mut self, symbol: &str) -> DescriptorPool {
        let mut asked = vec![MessageRequest::FileContainingSymbol(symbol.into())];
        while let Some(request) = asked.pop() {
            let MessageResponse::FileDescriptorResponse(response) = self.ask(request.clone()).await else {
                panic!("{request:?} gets no file");
            };
            for file in response.file_descriptor_proto {
                let file = FileDescriptorProto::decode(&file[..]).unwrap();
                for import in &file.dependency {
                    let request = MessageRequest::FileByFilename(import.clone());
                    if !self.files.contains_key(import) && !asked.contains(&request) {
                        asked.push(request);
                    }
                }
                self.files.insert(file.name().to_owned(), file);
            }
        }
        let file = self.files.values().cloned().collect();
        DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file }).unwrap()
    }

    async fn ask(&mut self, request: MessageRequest) -> MessageResponse {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        self.grpc.ready().await.unwrap();
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let path = PathAndQuery::from_static(self.version.path());
        let requests = Request::new(futures::stream::iter([request]));
        let response = self.grpc.streaming(requests, path, codec).await.unwrap();
        let answer = response.into_inner().message().await.unwrap().unwrap();
        answer.message_response.unwrap()
    }
}

/// A message as protobuf's JSON.
pub(crate) fn json_of(message: &DynamicMessage) -> Value {
    serde_json::to_value(message).unwrap()
}

/// Writes any message, and reads those of one type.
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(dst)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), src);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
