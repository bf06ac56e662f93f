// The published JavaScript client on a cluster, part by part: client.mjs objects KUBECONFIG, pods KUBECONFIG POD, account DIRECTORY.
// Prints one line for each part that went well; run inside the cluster's network by test_javascript_client.py.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import * as k8s from "@kubernetes/client-node";

const NAMESPACE = "javascript";
const map = (name, data, labels) => ({
  apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: NAMESPACE, labels }, data,
});

/** The error with which a call is refused, its body parsed. */
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return { code: error.code, status: JSON.parse(error.body) };
  }
  assert.fail("it was taken");
}

/** Waits until an informer has told something that fits. */
function heard(informer, verb, fits) {
  return new Promise((resolve) => {
    const listen = (object) => {
      if (fits(object)) {
        informer.off(verb, listen);
        resolve(object);
      }
    };
    informer.on(verb, listen);
  });
}

async function lifeOfAnObject(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const made = await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map("life", { a: "1" }) });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  made.data = { a: "2" };
  const second = await core.replaceNamespacedConfigMap({ name: "life", namespace: NAMESPACE, body: made });
  assert.deepEqual(second.data, { a: "2" });
  const stale = await refusal(() =>
    core.replaceNamespacedConfigMap({ name: "life", namespace: NAMESPACE, body: made }));
  assert.deepEqual([stale.code, stale.status.reason], [409, "Conflict"]);
  const dry = await core.deleteNamespacedConfigMap({ name: "life", namespace: NAMESPACE, dryRun: "All" });
  assert.equal(dry.status, "Success");
  await core.deleteNamespacedConfigMap({ name: "life", namespace: NAMESPACE });
  const gone = await refusal(() => core.readNamespacedConfigMap({ name: "life", namespace: NAMESPACE }));
  assert.equal(gone.status.message, 'configmaps "life" not found');
  const wrong = await refusal(() =>
    core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map("Bad_Name", {}) }));
  assert.equal(wrong.code, 422);
  assert.equal(wrong.status.details.causes[0].field, "metadata.name");
}

async function everyKindOfPatch(config) {
  const apps = config.makeApiClient(k8s.AppsV1Api);
  const labels = { app: "patched" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "first", image: "busybox" }] } };
  const spec = { replicas: 0, selector: { matchLabels: labels }, template };
  await apps.createNamespacedDeployment({ namespace: NAMESPACE, body: { metadata: { name: "patched" }, spec } });
  const patch = async (strategy, body, more = {}) => {
    const options = k8s.setHeaderOptions("Content-Type", strategy);
    const request = { name: "patched", namespace: NAMESPACE, body, ...more };
    const { spec } = await apps.patchNamespacedDeployment(request, options);
    return spec.template.spec.containers.map((each) => each.name).sort();
  };
  const containers = (name) => ({ spec: { template: { spec: { containers: [{ name, image: "nginx" }] } } } });
  const { StrategicMergePatch, MergePatch, JsonPatch, ServerSideApply } = k8s.PatchStrategy;
  assert.deepEqual(await patch(StrategicMergePatch, containers("second")), ["first", "second"]);
  assert.deepEqual(await patch(MergePatch, containers("second")), ["second"]);
  const path = "/spec/template/spec/containers/0/name";
  assert.deepEqual(await patch(JsonPatch, [{ op: "replace", path, value: "third" }]), ["third"]);
  const applied = { apiVersion: "apps/v1", kind: "Deployment", ...containers("fourth") };
  const manager = { fieldManager: "javascript" };
  assert.deepEqual(await patch(ServerSideApply, applied, manager), ["fourth", "third"]);
  applied.spec.replicas = 1;
  const conflict = await refusal(() => patch(ServerSideApply, applied, manager));
  assert.equal(conflict.code, 409);
  assert.match(conflict.status.message, /Apply failed with 1 conflict: conflict with .*: \.spec\.replicas$/);
  assert.deepEqual(await patch(ServerSideApply, applied, { ...manager, force: true, dryRun: "All" }),
    ["fourth", "third"]);
  await apps.deleteNamespacedDeployment({ name: "patched", namespace: NAMESPACE, propagationPolicy: "Background" });
}

async function listsInPages(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  for (let number = 0; number < 5; number++) {
    await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map(`page${number}`, {}, { paged: "yes" }) });
  }
  const names = [];
  let _continue;
  do {
    const page = await core.listNamespacedConfigMap({
      namespace: NAMESPACE, labelSelector: "paged=yes", limit: 2, _continue,
    });
    names.push(...page.items.map((each) => each.metadata.name));
    _continue = page.metadata._continue;
  } while (_continue);
  assert.deepEqual(names, ["page0", "page1", "page2", "page3", "page4"]);
  await core.deleteCollectionNamespacedConfigMap({ namespace: NAMESPACE, labelSelector: "paged=yes" });
  const left = await core.listNamespacedConfigMap({ namespace: NAMESPACE, labelSelector: "paged=yes" });
  assert.equal(left.items.length, 0);
}

async function anInformerFollows(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const path = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
  const list = () => core.listNamespacedConfigMap({ namespace: NAMESPACE, labelSelector: "seen=yes" });
  await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map("early", {}, { seen: "yes" }) });
  const informer = k8s.makeInformer(config, path, list, "seen=yes");
  const early = heard(informer, "add", (object) => object.metadata.name === "early");
  await informer.start();
  await early;
  const added = heard(informer, "add", (object) => object.metadata.name === "late");
  await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map("late", {}, { seen: "yes" }) });
  await added;
  const changed = heard(informer, "update", (object) => object.data?.a === "b");
  const options = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
  await core.patchNamespacedConfigMap({ name: "late", namespace: NAMESPACE, body: { data: { a: "b" } } }, options);
  await changed;
  const removed = heard(informer, "delete", (object) => object.metadata.name === "late");
  const body = { metadata: { labels: { seen: "no" } } };  // it leaves the selection, which is an end as well
  await core.patchNamespacedConfigMap({ name: "late", namespace: NAMESPACE, body }, options);
  await removed;
  assert.deepEqual(informer.list(NAMESPACE).map((each) => each.metadata.name), ["early"]);
  await informer.stop();
}

async function aWatchTellsTheRestOfAStory(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const start = (await core.listNamespacedConfigMap({ namespace: NAMESPACE })).metadata.resourceVersion;
  await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: map("brief", { a: "b" }) });
  await core.deleteNamespacedConfigMap({ name: "brief", namespace: NAMESPACE });
  const seen = [];
  const query = { resourceVersion: start, fieldSelector: "metadata.name=brief", timeoutSeconds: 1 };
  await new Promise((resolve) => {
    new k8s.Watch(config).watch(`/api/v1/namespaces/${NAMESPACE}/configmaps`, query,
      (type, object) => seen.push([type, object.data]), resolve);
  });
  assert.deepEqual(seen, [["ADDED", { a: "b" }], ["DELETED", { a: "b" }]]);
}

async function objectsOfAnyKind(config) {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const names = { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" };
  const schema = { type: "object", properties: { spec: { type: "object", properties: { size: { type: "integer" } } } } };
  const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } };
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition",
    metadata: { name: "gadgets.javascript.example.com" },
    spec: { group: "javascript.example.com", scope: "Namespaced", names, versions: [version] },
  };
  const header = { apiVersion: "javascript.example.com/v1", kind: "Gadget", metadata: { name: "g", namespace: NAMESPACE } };
  await objects.create(definition);
  try {
    const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
    const established = async () => {
      const { status } = await extensions.readCustomResourceDefinition({ name: definition.metadata.name });
      return status?.conditions?.some((each) => each.type === "Established" && each.status === "True");
    };
    while (!await established());
    assert.equal((await objects.create({ ...header, spec: { size: 1 } })).spec.size, 1);
    const applied = await objects.patch({ ...header, spec: { size: 2 } }, undefined, undefined, "javascript", true,
      k8s.PatchStrategy.ServerSideApply);
    assert.equal(applied.spec.size, 2);
    assert.equal((await objects.list("javascript.example.com/v1", "Gadget", NAMESPACE)).items.length, 1);
    await objects.delete(header);
  } finally {
    await objects.delete(definition);
  }
}

async function aCommandInAPod(config, pod) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = Promise.all([text(stdout), text(stderr)]);
  const words = ["sh", "-c", "cat; echo bad >&2; exit 5"];
  const status = await new Promise((resolve, reject) => {
    const stdin = Readable.from([Buffer.from("this\n")]);  // its end must reach the program, or cat goes on for ever
    new k8s.Exec(config).exec(NAMESPACE, pod, "main", words, stdout, stderr, stdin, false, resolve).catch(reject);
  });
  assert.deepEqual(await said, ["this\n", "bad\n"]);
  assert.equal(status.reason, "NonZeroExitCode");
  assert.deepEqual(status.details.causes, [{ reason: "ExitCode", message: "5" }]);
}

async function muchGoesBothWays(config, pod) {
  const bytes = randomBytes(300_000);
  const stdout = new PassThrough();
  const back = buffer(stdout);
  await new Promise((resolve, reject) => {
    const stdin = Readable.from([bytes.subarray(0, 200_000), bytes.subarray(200_000)]);
    new k8s.Exec(config).exec(NAMESPACE, pod, "main", ["cat"], stdout, null, stdin, false, resolve).catch(reject);
  });
  assert.ok(bytes.equals(await back));
}

async function aTerminalInAPod(config, pod) {
  const stdout = new PassThrough();
  stdout.rows = 33;
  stdout.columns = 77;
  const said = text(stdout);
  // until the size has come, stty finds none
  const words = ["sh", "-c", "until [ \"$(stty size 2>/dev/null)\" = '33 77' ]; do sleep 0.05; done; stty size"];
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config).exec(NAMESPACE, pod, "main", words, stdout, null, null, true, resolve).catch(reject);
  });
  assert.equal(status.status, "Success");
  assert.equal(await said, "33 77\r\n");
}

async function logsOfAPod(config, pod) {
  const log = async (options) => {
    const stream = new PassThrough();
    await new k8s.Log(config).log(NAMESPACE, pod, "main", stream, options);
    return stream;
  };
  assert.equal(await text(await log({})), "one\ntwo\n");
  assert.equal(await text(await log({ tailLines: 1 })), "two\n");
  const followed = await log({ follow: true, tailLines: 1 });
  assert.equal((await once(followed, "data"))[0].toString(), "two\n");
  followed.destroy();
}

async function aPortOfAPod(config, pod) {
  const [output, input] = [new PassThrough(), new PassThrough()];
  const socket = await new k8s.PortForward(config).portForward(NAMESPACE, pod, [80], output, null, input);
  input.write("GET / HTTP/1.0\r\n\r\n");
  assert.match((await once(output, "data"))[0].toString(), /^HTTP\/1\.\d /);
  socket.close();
}

async function asAnAccount(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  assert.equal((await core.listNamespacedPod({ namespace: NAMESPACE })).kind, "PodList");
  const refused = await refusal(() => core.listNamespacedSecret({ namespace: NAMESPACE }));
  assert.equal(refused.status.message, "secrets is forbidden: User \"system:serviceaccount:javascript:robot\" cannot "
    + "list resource \"secrets\" in API group \"\" in the namespace \"javascript\"");
  const access = config.makeApiClient(k8s.AuthorizationV1Api);
  const review = (resource) => access.createSelfSubjectAccessReview({
    body: { spec: { resourceAttributes: { namespace: NAMESPACE, verb: "list", resource } } },
  });
  assert.deepEqual([(await review("pods")).status.allowed, (await review("secrets")).status.allowed], [true, false]);
  const who = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
  assert.equal(who.status.userInfo.username, "system:serviceaccount:javascript:robot");
}

const config = new k8s.KubeConfig();
const [part, place, ...pods] = process.argv.slice(2);
if (part === "account") {
  config.loadFromCluster(place);  // as a program in a pod does, the directory of the pod in front of the paths
} else {
  config.loadFromFile(place);
}
const parts = {
  objects: [lifeOfAnObject, everyKindOfPatch, listsInPages, anInformerFollows, aWatchTellsTheRestOfAStory, objectsOfAnyKind],
  pods: [aCommandInAPod, muchGoesBothWays, aTerminalInAPod, logsOfAPod, aPortOfAPod],
  account: [asAnAccount],
};
for (const check of parts[part]) {
  await check(config, ...pods);
  console.log(check.name);
}
process.exit(0);  // the client keeps connections
