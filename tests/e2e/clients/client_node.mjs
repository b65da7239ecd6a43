// Scenarios for test_client_node.py: node client_node.mjs SCENARIO NAMESPACE [GROUP] prints one JSON value.
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const map = (name, data) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { app: name } }, data });
const as = (type) => k8s.setHeaderOptions('Content-Type', type);

async function failure(attempt) {
    try {
        await attempt;
        return 'no error';
    } catch (error) {
        const body = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
        return [error.code, body.reason];
    }
}

// Watches from `resourceVersion` until `enough(event types so far)`; gives the types and where the watch was.
function watched(path, resourceVersion, enough, onEvent = () => {}) {
    return new Promise((resolve, reject) => {
        const seen = [];
        let controller = null;
        const each = (type, object) => {
            seen.push(type);
            if (enough(seen)) {
                controller.abort();
                resolve([seen, object.metadata.resourceVersion]);
            } else {
                onEvent(type, object);
            }
        };
        const over = (error) => enough(seen) || reject(error ?? new Error(`the watch ended after ${seen}`));
        new k8s.Watch(config).watch(path, { resourceVersion }, each, over).then((found) => (controller = found), reject);
    });
}

const scenarios = {
    async objects(namespace) {
        const made = await core.createNamespacedConfigMap({ namespace, body: map('a', { a: '1' }) });
        const twice = await failure(core.createNamespacedConfigMap({ namespace, body: map('a', {}) }));
        const patch = { name: 'a', namespace, body: { data: { b: '2' } } };
        const merged = await core.patchNamespacedConfigMap(patch, as(k8s.PatchStrategy.MergePatch));
        const stale = await failure(core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made }));
        const objects = k8s.KubernetesObjectApi.makeApiClient(config);
        const body = { ...map('a', { c: '3' }), metadata: { name: 'a', namespace } };
        const applied = await objects.patch(body, undefined, undefined, 'node', true, k8s.PatchStrategy.ServerSideApply);
        await core.deleteNamespacedConfigMap({ name: 'a', namespace });
        const missing = await failure(core.readNamespacedConfigMap({ name: 'a', namespace }));
        return { created: made.data, twice, merged: merged.data, stale, applied: applied.data, missing };
    },

    async lists(namespace) {
        for (const name of ['a', 'b', 'c']) {
            await core.createNamespacedConfigMap({ namespace, body: map(name, {}) });
        }
        const names = (list) => list.items.map((item) => item.metadata.name);
        const selected = names(await core.listNamespacedConfigMap({ namespace, labelSelector: 'app=b' }));
        const first = await core.listNamespacedConfigMap({ namespace, labelSelector: 'app', limit: 2 });
        const token = first.metadata._continue;
        const second = await core.listNamespacedConfigMap({ namespace, labelSelector: 'app', limit: 2, _continue: token });
        return { selected, pages: [names(first), names(second)] };
    },

    async watch(namespace) {
        const path = `/api/v1/namespaces/${namespace}/configmaps`;
        const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
        await core.createNamespacedConfigMap({ namespace, body: map('a', { a: '1' }) });
        const patch = { name: 'a', namespace, body: { data: { a: '2' } } };
        const change = () => core.patchNamespacedConfigMap(patch, as(k8s.PatchStrategy.MergePatch));
        const [before, version] = await watched(path, start, (seen) => seen.length === 2, change);
        await core.deleteNamespacedConfigMap({ name: 'a', namespace });
        const [after] = await watched(path, version, (seen) => seen.length === 1);
        return [...before, ...after];
    },

    async informer(namespace) {
        const path = `/api/v1/namespaces/${namespace}/configmaps`;
        await core.createNamespacedConfigMap({ namespace, body: map('first', {}) });
        const informer = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace }));
        const events = [];
        const next = {
            'add first': () => core.createNamespacedConfigMap({ namespace, body: map('second', {}) }),
            'add second': () => core.deleteNamespacedConfigMap({ name: 'first', namespace }),
        };
        await new Promise((resolve, reject) => {
            const saw = (event) => {
                events.push(event);
                (next[event] ?? resolve)();
            };
            informer.on('add', (object) => saw(`add ${object.metadata.name}`));
            informer.on('delete', (object) => saw(`delete ${object.metadata.name}`));
            informer.on('error', reject);
            informer.start();
        });
        const left = informer.list(namespace).map((object) => object.metadata.name);
        await informer.stop();
        return { events, left };
    },

    async custom(namespace, group) {
        const custom = config.makeApiClient(k8s.CustomObjectsApi);
        const where = { group, version: 'v1', namespace, plural: 'widgets' };
        const body = { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'a' }, spec: { size: 1 } };
        const made = await custom.createNamespacedCustomObject({ ...where, body });
        const patch = (size) =>
            custom.patchNamespacedCustomObject({ ...where, name: 'a', body: { spec: { size } } }, as(k8s.PatchStrategy.MergePatch));
        const { size } = (await patch(5)).spec;
        const wrong = await failure(patch(0));
        const objects = k8s.KubernetesObjectApi.makeApiClient(config);
        const found = await objects.read({ ...body, metadata: { name: 'a', namespace } });
        return { colour: made.spec.colour, size, wrong, generic: found.kind };
    },
};

const [scenario, ...rest] = process.argv.slice(2);
console.log(JSON.stringify(await scenarios[scenario](...rest)));
process.exit(0);
