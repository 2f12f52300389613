SELECT e.name, e.seq, old, new, e.status = 'keep', leader.value, leader.name
FROM trial t
JOIN experiment e ON e.id = t.experiment
LEFT JOIN experiment leader ON leader.id = (
  SELECT b.id
  FROM experiment b
  WHERE b.campaign = e.campaign AND b.status = 'keep' AND b.seq < e.seq
  ORDER BY b.value, b.seq
  LIMIT 1)
WHERE knob = :switch
  --campaign: AND t.campaign = :campaign
ORDER BY t.campaign, t.seq
LIMIT 100
